#include <cstdint>

#include "core/backend/cpu/element_type.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/base/hash.h"
#include "core/base/philox.h"

namespace lockstep::cpu {
namespace {

constexpr std::int64_t kDraws = 16;  ///< of four elements each, at once

/// One sample. `position` is its place in the run: epoch and position in the epoch.
template <class T>
void mask_sample(const T* x, T* y, std::int64_t elements, std::uint64_t position, std::uint64_t key, float rate, bool accumulate) {
  dispatch([=]() LOCKSTEP_INLINE {
    const float scale = 1.0f / (1.0f - rate);
    for (std::int64_t first = 0; first < elements; first += 4 * kDraws) {
      float mask[4 * kDraws];
#pragma omp simd
      for (std::int64_t d = 0; d < kDraws; ++d) {
        const Philox::Words words = Philox::draw(static_cast<std::uint64_t>(first / 4 + d), position, key);
        for (int k = 0; k < 4; ++k) mask[4 * d + k] = Philox::uniform(words.w[k]) >= rate ? scale : 0.0f;
      }
      const std::int64_t n = elements - first < 4 * kDraws ? elements - first : 4 * kDraws;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) {
        // A dropped element is zero even where x is infinite.
        const float kept = mask[i] == 0.0f ? 0.0f : to_float(x[first + i]) * mask[i];
        store(y[first + i], accumulate ? to_float(y[first + i]) + kept : kept);
      }
    }
  });
}

class DropoutMask : public Kernel {
 public:
  explicit DropoutMask(const OpSpec& op)
      : op_(op),
        name_hash_(hash_text(op.layer)),
        rate_(static_cast<float>(op.attributes.real("rate"))),
        accumulate_(op.writes[0].mode == WriteMode::accumulate) {}

  void run(const KernelCall& call) const override {
    const std::int64_t elements = op_.reads[0].spec.elements();
    const std::uint64_t key = random_key(call.step->seed, RandomPurpose::dropout, name_hash_);
    const auto base =
        (static_cast<std::uint64_t>(call.step->epoch) << 40) + static_cast<std::uint64_t>(call.step->epoch_position + call.first_row);
    with_element_type(op_, op_.reads[0].spec.dtype, [&](auto type) {
      using T = decltype(type);
      const T* const x = static_cast<const T*>(call.reads[0]);
      T* const y = static_cast<T*>(call.writes[0]);
      for (std::int64_t row = 0; row < call.rows; ++row)
        mask_sample(x + row * elements, y + row * elements, elements, base + static_cast<std::uint64_t>(row), key, rate_, accumulate_);
    });
  }
  std::string implementation() const override { return "loops"; }

 private:
  OpSpec op_;
  std::uint64_t name_hash_;
  float rate_;
  bool accumulate_;
};

const RegisterKernel registered("dropout.mask", [](const OpSpec& op) { return std::make_unique<DropoutMask>(op); });

}  // namespace
}  // namespace lockstep::cpu
