// A thread takes its elements of one item after another and keeps partial results on a stack in shared memory; the newest one is in
// registers. Several items are loaded before they are added.
#include <cstdint>
#include <memory>

#include "core/backend/cuda/register.h"
#include "core/backend/fold_program.h"
#include "core/model/moments.h"
#include "launch.h"

namespace lockstep::cuda {
namespace {

constexpr int kAhead = 8;                                ///< items loaded at once
constexpr int kStack = FoldProgram::kMostPartial - 1;
constexpr unsigned kAddThreads = 128, kMomentThreads = 64;

__device__ inline float4 combined(float4 left, float4 right) {
  return make_float4(left.x + right.x, left.y + right.y, left.z + right.z, left.w + right.w);
}
__device__ inline double combined(double left, double right) { return left + right; }

struct ChannelMoments {
  double count, mean, m2;
};
__device__ inline ChannelMoments combined(ChannelMoments left, const ChannelMoments& right) {
  if (right.count == 0) return left;
  if (left.count == 0) return right;
  const MomentShare share = moment_share(left.count, right.count);
  left.count = share.count;
  combine_moment(share, left.mean, left.m2, right.mean, right.m2);
  return left;
}

/// Combines the items that `load(item)` gives, in the program's order.
template <class Value, unsigned kThreads, class Load>
__device__ Value fold_items(const FoldProgram& program, Value (&stack)[kStack][kThreads], const Load& load) {
  Value newest{};
  int below = 0;  // partial results under the newest one
  for (int first = 0; first < program.items; first += kAhead) {
    Value items[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k)
      if (first + k < program.items) items[k] = load(first + k);
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (first + k >= program.items) break;
      if (first + k > 0) stack[below++][threadIdx.x] = newest;
      newest = items[k];
      for (int m = program.merges(first + k); m > 0; --m) newest = combined(stack[--below][threadIdx.x], newest);
    }
  }
  return newest;
}

/// Four elements a thread, by 16-byte accesses where `vectors`, as far as there are four.
__global__ void __launch_bounds__(kAddThreads)
    fold_add_f32(const float* items, std::int64_t stride, float* result, std::int64_t elements, bool vectors, FoldProgram program) {
  __shared__ float4 stack[kStack][kAddThreads];
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.x) * kAddThreads + threadIdx.x) * 4;
  if (first >= elements) return;
  const bool whole = vectors && first + 4 <= elements;
  const int count = elements - first < 4 ? static_cast<int>(elements - first) : 4;
  const float4 total = fold_items<float4, kAddThreads>(program, stack, [=](int item) {
    const float* const from = items + item * stride + first;
    if (whole) return *reinterpret_cast<const float4*>(from);
    return make_float4(from[0], count > 1 ? from[1] : 0.0f, count > 2 ? from[2] : 0.0f, count > 3 ? from[3] : 0.0f);
  });
  if (whole) {
    *reinterpret_cast<float4*>(result + first) = total;
    return;
  }
  result[first] = total.x;
  if (count > 1) result[first + 1] = total.y;
  if (count > 2) result[first + 2] = total.z;
  if (count > 3) result[first + 3] = total.w;
}

__global__ void __launch_bounds__(kAddThreads)
    fold_add_f64(const double* items, std::int64_t stride, double* result, std::int64_t elements, FoldProgram program) {
  __shared__ double stack[kStack][kAddThreads];
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kAddThreads + threadIdx.x;
  if (i >= elements) return;
  result[i] = fold_items<double, kAddThreads>(program, stack, [=](int item) { return items[item * stride + i]; });
}

/// Where the result is an item, one block alone does it, since all its threads read the counts that it overwrites last.
__global__ void __launch_bounds__(kMomentThreads)
    fold_moments(const double* items, std::int64_t stride, double* result, std::int64_t channels, FoldProgram program) {
  __shared__ ChannelMoments stack[kStack][kMomentThreads];
  const auto fold_channel = [&](std::int64_t channel) {
    return fold_items<ChannelMoments, kMomentThreads>(program, stack, [=](int item) {
      const double* const from = items + item * stride;
      return channel < channels ? ChannelMoments{from[0], from[1 + channel], from[1 + channels + channel]} : ChannelMoments{from[0], 0.0, 0.0};
    });
  };
  for (std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kMomentThreads + threadIdx.x; c < channels;
       c += static_cast<std::int64_t>(gridDim.x) * kMomentThreads) {
    const ChannelMoments total = fold_channel(c);
    result[1 + c] = total.mean;
    result[1 + channels + c] = total.m2;
  }
  __syncthreads();
  if (blockIdx.x == 0 && threadIdx.x == 0) result[0] = fold_channel(channels).count;
}

bool aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % 16 == 0; }
unsigned blocks(std::int64_t count, std::int64_t of_block) { return static_cast<unsigned>((count + of_block - 1) / of_block); }

class Fold : public Kernel {
 public:
  using Run = void (*)(const KernelCall&, std::int64_t stride, const FoldProgram&);

  Fold(const OpSpec& op, Run fold) : program_(FoldProgram::of(op)), stride_(op.attributes.integer("stride")), fold_(fold) {}

  void run(const KernelCall& call) const override {
    if (call.rows > 0) fold_(call, stride_, program_);
  }
  std::string implementation() const override { return "own cuda"; }

 private:
  FoldProgram program_;
  std::int64_t stride_;
  Run fold_;
};

void run_add_f32(const KernelCall& call, std::int64_t stride, const FoldProgram& program) {
  const float* const items = static_cast<const float*>(call.reads[0]);
  float* const result = static_cast<float*>(call.writes[0]);
  const bool vectors = aligned(items) && aligned(result) && stride % 4 == 0;
  launch(fold_add_f32, dim3(blocks(call.rows, 4 * kAddThreads)), dim3(kAddThreads), call.stream, items, stride, result, call.rows, vectors, program);
}

void run_add_f64(const KernelCall& call, std::int64_t stride, const FoldProgram& program) {
  launch(fold_add_f64, dim3(blocks(call.rows, kAddThreads)), dim3(kAddThreads), call.stream, static_cast<const double*>(call.reads[0]), stride,
         static_cast<double*>(call.writes[0]), call.rows, program);
}

void run_moments(const KernelCall& call, std::int64_t stride, const FoldProgram& program) {
  const std::int64_t channels = (call.rows - 1) / 2;
  const double* const items = static_cast<const double*>(call.reads[0]);
  double* const result = static_cast<double*>(call.writes[0]);
  const bool in_place = result >= items && result < items + program.items * stride;
  const unsigned grid = in_place || channels == 0 ? 1u : blocks(channels, kMomentThreads);
  launch(fold_moments, dim3(grid), dim3(kMomentThreads), call.stream, items, stride, result, channels, program);
}

MakeKernel make(Fold::Run fold) {
  return [fold](const OpSpec& op) { return std::make_unique<Fold>(op, fold); };
}

const RegisterKernel registered[] = {{"fold.add_f32", make(run_add_f32)}, {"fold.add", make(run_add_f64)}, {"fold.moments", make(run_moments)}};

}  // namespace
}  // namespace lockstep::cuda
