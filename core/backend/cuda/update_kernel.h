#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/backend/cuda/register.h"
#include "core/backend/engine_ops.h"
#include "core/base/error.h"
#include "core/base/formula.h"
#include "launch.h"

namespace lockstep {

namespace cuda {

inline constexpr unsigned kUpdateThreads = 256;

/// The arenas of an update, and the scale of each parameter's gradient (or null).
struct UpdateOperands {
  const float* gradients;
  const Block* blocks;
  const float* scales;
  float* arenas[3];  ///< parameters, then slots
};

template <class Rule>
__device__ inline void update_element(const typename Rule::Factors& factors, float g, float scale, float bound, float (&values)[3]) {
  g *= scale;
  g = g > bound ? bound : g;
  g = g < -bound ? -bound : g;
  Rule::update(factors, values[0], g, values + 1);
}

/// A block of the arena a thread block.
template <class Rule>
__global__ void __launch_bounds__(kUpdateThreads) update_blocks(Rule rule, float bound, UpdateOperands o, const StepBlock* step) {
  constexpr int kArenas = 1 + static_cast<int>(Rule::kSlots);
  __shared__ typename Rule::Factors shared_factors;
  if (!step->finite) return;
  if (threadIdx.x == 0) shared_factors = rule.factors(*step);
  __syncthreads();
  const typename Rule::Factors factors = shared_factors;
  const Block block = o.blocks[blockIdx.x];
  const float scale = o.scales ? o.scales[block.parameter] : step->gradient_scale;
  const std::int64_t vectors = block.offset % 4 == 0 ? block.elements / 4 : 0;
  for (std::int64_t v = threadIdx.x; v < vectors; v += kUpdateThreads) {
    const std::int64_t at = block.offset + 4 * v;
    const float4 g = *reinterpret_cast<const float4*>(o.gradients + at);
    float4 kept[kArenas];
#pragma unroll
    for (int a = 0; a < kArenas; ++a) kept[a] = *reinterpret_cast<const float4*>(o.arenas[a] + at);
    const float gradient[4] = {g.x, g.y, g.z, g.w};
    float result[kArenas][4];
#pragma unroll
    for (int a = 0; a < kArenas; ++a) result[a][0] = kept[a].x, result[a][1] = kept[a].y, result[a][2] = kept[a].z, result[a][3] = kept[a].w;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float values[3] = {};
#pragma unroll
      for (int a = 0; a < kArenas; ++a) values[a] = result[a][k];
      update_element<Rule>(factors, gradient[k], scale, bound, values);
#pragma unroll
      for (int a = 0; a < kArenas; ++a) result[a][k] = values[a];
    }
#pragma unroll
    for (int a = 0; a < kArenas; ++a)
      *reinterpret_cast<float4*>(o.arenas[a] + at) = make_float4(result[a][0], result[a][1], result[a][2], result[a][3]);
  }
  for (std::int64_t i = 4 * vectors + threadIdx.x; i < block.elements; i += kUpdateThreads) {
    const std::int64_t at = block.offset + i;
    float values[3] = {};
#pragma unroll
    for (int a = 0; a < kArenas; ++a) values[a] = o.arenas[a][at];
    update_element<Rule>(factors, o.gradients[at], scale, bound, values);
#pragma unroll
    for (int a = 0; a < kArenas; ++a) o.arenas[a][at] = values[a];
  }
}

/// The CUDA twin of the CPU's: the same operands, one launch for all blocks of a call.
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
    UpdateOperands operands{static_cast<const float*>(call.reads[0]), static_cast<const Block*>(call.reads[1]),
                            static_cast<const float*>(call.reads[2]), {}};
    for (std::size_t a = 0; a < call.writes.size(); ++a) operands.arenas[a] = static_cast<float*>(call.writes[a]);
    launch(update_blocks<Rule>, dim3(static_cast<unsigned>(call.rows)), dim3(kUpdateThreads), call.stream, rule_, bound_, operands, call.step);
  }
  std::string implementation() const override { return "own cuda"; }

 private:
  static_assert(Rule::kSlots <= 2);
  static_assert(std::is_trivially_copyable_v<Rule> && std::is_trivially_copyable_v<typename Rule::Factors>);
  Rule rule_;
  float bound_ = std::numeric_limits<float>::infinity();
};

}  // namespace cuda

/// The CUDA twin of the CPU's: registers the kernels of an optimizer's rules, and no optimizer.
template <class Interface, class PlugIn, class... Rules>
struct RegisterUpdates {
  RegisterUpdates(const std::string&, const std::string&) { (add<Rules>(), ...); }

 private:
  template <class Rule>
  static void add() {
    const cuda::RegisterKernel kernel(std::string(Rule::kOp), [](const OpSpec& op) { return std::make_unique<cuda::UpdateKernel<Rule>>(op); });
  }
};

}  // namespace lockstep
