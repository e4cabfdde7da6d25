// Eight elements of a row a thread: two draws of four words each, at the counters of the CPU's kernel.
#include <cstdint>

#include "core/backend/cuda/element.h"
#include "core/backend/cuda/register.h"
#include "core/base/hash.h"
#include "core/base/philox.h"

namespace lockstep::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::uint32_t kGroup = 8;

template <class T>
struct Operands {
  const T* x;
  T* y;
  std::uint32_t rows, groups;  ///< groups of kGroup elements in a row
  std::int64_t elements;       ///< of a row
  std::int64_t first_row;
  std::uint64_t name_hash;
  float rate;
};

template <class T, bool kVectors, bool kAccumulate>
__global__ void __launch_bounds__(kThreads) mask_rows(Operands<T> o, const StepBlock* step) {
  const std::uint32_t index = blockIdx.x * kThreads + threadIdx.x;
  const std::uint32_t row = index / o.groups, group = index % o.groups;
  if (row >= o.rows) return;
  const std::uint64_t key = random_key(step->seed, RandomPurpose::dropout, o.name_hash);
  const std::uint64_t position = (static_cast<std::uint64_t>(step->epoch) << 40) + static_cast<std::uint64_t>(step->epoch_position + o.first_row) + row;
  const float scale = 1.0f / (1.0f - o.rate);
  const std::int64_t in_row = static_cast<std::int64_t>(group) * kGroup, first = row * o.elements + in_row;
  const std::int64_t left = o.elements - in_row;
  const int count = kVectors || left > kGroup ? static_cast<int>(kGroup) : static_cast<int>(left);

  float x[kGroup] = {}, y[kGroup] = {};
  if constexpr (kVectors) {
    load8(o.x + first, x);
    if constexpr (kAccumulate) load8(o.y + first, y);
  } else {
#pragma unroll
    for (int i = 0; i < static_cast<int>(kGroup); ++i) {
      if (i >= count) continue;
      x[i] = widen(o.x[first + i]);
      if constexpr (kAccumulate) y[i] = widen(o.y[first + i]);
    }
  }
#pragma unroll
  for (std::uint32_t d = 0; d < kGroup / 4; ++d) {
    const Philox::Words words = Philox::draw(std::uint64_t{group} * (kGroup / 4) + d, position, key);
#pragma unroll
    for (std::uint32_t k = 0; k < 4; ++k) {
      // A dropped element is zero even where x is infinite.
      const float kept = Philox::uniform(words.w[k]) >= o.rate ? x[4 * d + k] * scale : 0.0f;
      y[4 * d + k] = kAccumulate ? y[4 * d + k] + kept : kept;
    }
  }
  if constexpr (kVectors) {
    store8(o.y + first, y);
  } else {
#pragma unroll
    for (int i = 0; i < static_cast<int>(kGroup); ++i)
      if (i < count) narrow(o.y[first + i], y[i]);
  }
}

class DropoutMask : public Kernel {
 public:
  explicit DropoutMask(const OpSpec& op)
      : op_(op),
        name_hash_(hash_text(op.layer)),
        rate_(static_cast<float>(op.attributes.real("rate"))),
        accumulate_(op.writes[0].mode == WriteMode::accumulate) {}

  void run(const KernelCall& call) const override {
    with_element_type(op_, op_.reads[0].spec.dtype, [&](auto type) { run_as<decltype(type)>(call); });
  }
  std::string implementation() const override { return "own cuda"; }

 private:
  template <class T>
  void run_as(const KernelCall& call) const {
    const std::int64_t elements = op_.reads[0].spec.elements(), groups = (elements + kGroup - 1) / kGroup, threads = call.rows * groups;
    require(threads + kThreads <= std::int64_t{UINT32_MAX}, "{}: expected fewer than 2^32 groups of elements, got {}", op_.op, threads);
    const Operands<T> operands{static_cast<const T*>(call.reads[0]), static_cast<T*>(call.writes[0]), static_cast<std::uint32_t>(call.rows),
                               static_cast<std::uint32_t>(groups), elements, call.first_row, name_hash_, rate_};
    const bool vectors = elements % kGroup == 0 && reinterpret_cast<std::uintptr_t>(operands.x) % 16 == 0 &&
                         reinterpret_cast<std::uintptr_t>(operands.y) % 16 == 0;
    const auto kernel = vectors ? (accumulate_ ? mask_rows<T, true, true> : mask_rows<T, true, false>)
                                : (accumulate_ ? mask_rows<T, false, true> : mask_rows<T, false, false>);
    launch(kernel, dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads)), dim3(kThreads), call.stream, operands, call.step);
  }

  OpSpec op_;
  std::uint64_t name_hash_;
  float rate_;
  bool accumulate_;
};

const RegisterKernel registered("dropout.mask", [](const OpSpec& op) { return std::make_unique<DropoutMask>(op); });

}  // namespace
}  // namespace lockstep::cuda
