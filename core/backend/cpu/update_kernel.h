#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/backend/engine_ops.h"
#include "core/base/registry.h"

namespace lockstep {

namespace cpu {

/// An optimizer's rule as a kernel over the blocks of an arena: the operands are in engine_ops.h. The gradient is multiplied by its
/// scale and then clamped to +-clip_value where that is above 0.
template <class Rule>
class UpdateKernel : public Kernel {
 public:
  explicit UpdateKernel(const OpSpec& op) : rule_(op.attributes) {
    require(op.reads.size() == 3 && op.writes.size() == 1 + Rule::kSlots, "{}: expected gradients, blocks, scales, parameters and {} slots", op.op,
            Rule::kSlots);
    const double clip = op.attributes.has("clip_value") ? op.attributes.real("clip_value") : 0.0;
    if (clip > 0.0) bound_ = static_cast<float>(clip);
  }

  void run(const KernelCall& call) const override {
    if (!call.step->finite) return;
    const typename Rule::Factors factors = rule_.factors(*call.step);
    const Block* const blocks = static_cast<const Block*>(call.reads[1]);
    const float* const scales = static_cast<const float*>(call.reads[2]);
    for (std::int64_t b = 0; b < call.rows; ++b)
      update(call, blocks[b], factors, scales ? scales[blocks[b].parameter] : call.step->gradient_scale);
  }
  std::string implementation() const override { return std::string("own ") + simd_level_name(); }

 private:
  static_assert(Rule::kSlots <= 2);

  void update(const KernelCall& call, const Block& block, const typename Rule::Factors& given, float scale) const {
    const typename Rule::Factors factors = given;
    const float bound = bound_;
    const float* const gradients = static_cast<const float*>(call.reads[0]) + block.offset;
    float* const parameters = static_cast<float*>(call.writes[0]) + block.offset;
    // Named pointers and no `omp simd`: with an array of them g++ 12 leaves the loop scalar.
    float* const slot0 = Rule::kSlots > 0 ? static_cast<float*>(call.writes[1]) + block.offset : nullptr;
    float* const slot1 = Rule::kSlots > 1 ? static_cast<float*>(call.writes[2]) + block.offset : nullptr;
    const std::int64_t elements = block.elements;
    dispatch([=]() LOCKSTEP_INLINE {
#pragma GCC ivdep
      for (std::int64_t i = 0; i < elements; ++i) {
        float g = gradients[i] * scale;
        g = g > bound ? bound : g;
        g = g < -bound ? -bound : g;
        float w = parameters[i];
        float kept[2] = {Rule::kSlots > 0 ? slot0[i] : 0.0f, Rule::kSlots > 1 ? slot1[i] : 0.0f};
        Rule::update(factors, w, g, kept);
        if constexpr (Rule::kSlots > 0) slot0[i] = kept[0];
        if constexpr (Rule::kSlots > 1) slot1[i] = kept[1];
        parameters[i] = w;
      }
    });
  }

  Rule rule_;
  float bound_ = std::numeric_limits<float>::infinity();
};

}  // namespace cpu

/// The last line of an optimizer's file: registers the plug-in and the kernels of its rules. Other backends have a header
/// of this name that registers their kernels alone. A rule is element-wise and written once:
///   static constexpr std::string_view kOp;  static constexpr std::size_t kSlots;  (0 to 2)
///   explicit Rule(const Attributes&);                                     // constants, on the host
///   struct Factors;  LOCKSTEP_FORMULA Factors factors(const StepBlock&) const;   // once a call
///   LOCKSTEP_FORMULA static void update(const Factors&, float& w, float g, float* slots);
template <class Interface, class PlugIn, class... Rules>
struct RegisterUpdates {
  RegisterUpdates(const std::string& name, const std::string& summary, std::source_location at = std::source_location::current())
      : plug_in({.name = name, .summary = summary, .make = [](Options& options) { return std::make_unique<PlugIn>(options); }}, at) {
    (add<Rules>(), ...);
  }
  Register<Interface> plug_in;

 private:
  template <class Rule>
  static void add() {
    const cpu::RegisterKernel kernel(std::string(Rule::kOp),
                                     [](const OpSpec& op) { return std::make_unique<cpu::UpdateKernel<Rule>>(op); });
  }
};

}  // namespace lockstep
