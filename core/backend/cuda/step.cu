#include <cstdint>
#include <memory>

#include "core/backend/cuda/register.h"
#include "core/backend/step_math.h"
#include "launch.h"

namespace lockstep::cuda {
namespace {

constexpr unsigned kThreads = 256;

/// A block of the arena a thread block: each thread adds every 256th run of four elements, then halves fold onto halves.
__global__ void __launch_bounds__(kThreads) block_squares(const float* gradients, const Block* blocks, double* squares) {
  __shared__ double sums[kThreads];
  const Block block = blocks[blockIdx.x];
  const float* const values = gradients + block.offset;
  const std::int64_t vectors = block.offset % 4 == 0 ? block.elements / 4 : 0;
  double sum = 0;
  const auto add = [&sum](float value) { sum += static_cast<double>(value) * static_cast<double>(value); };
#pragma unroll 4
  for (std::int64_t v = threadIdx.x; v < vectors; v += kThreads) {
    const float4 x = *reinterpret_cast<const float4*>(values + 4 * v);
    add(x.x), add(x.y), add(x.z), add(x.w);
  }
  for (std::int64_t i = 4 * vectors + threadIdx.x; i < block.elements; i += kThreads) add(values[i]);
  sums[threadIdx.x] = sum;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) squares[blockIdx.x] = sums[0];
}

/// One thread block. Thread 0 adds all squares in order, while the others bring them.
__global__ void __launch_bounds__(kThreads) decide(DecideOperands o) {
  __shared__ double chunk[kThreads];
  double squares = 0;
  for (std::int64_t first = 0; first < o.block_count; first += kThreads) {
    const std::int64_t b = first + threadIdx.x, left = o.block_count - first;
    if (b < o.block_count) {
      chunk[threadIdx.x] = o.squares[b];
      if (o.scales) scale_tensor(o, b);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      const int count = left < kThreads ? static_cast<int>(left) : static_cast<int>(kThreads);
#pragma unroll 8
      for (int i = 0; i < count; ++i) squares += chunk[i];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) decide_step(o, squares);
}

void run_squares(const OpSpec&, const KernelCall& call) {
  launch(block_squares, dim3(static_cast<unsigned>(call.rows)), dim3(kThreads), call.stream, static_cast<const float*>(call.reads[0]),
         static_cast<const Block*>(call.reads[1]), static_cast<double*>(call.writes[0]));
}

class Decide : public Kernel {
 public:
  explicit Decide(const OpSpec& op) : options_(op) {}

  void run(const KernelCall& call) const override { launch(decide, dim3(1), dim3(kThreads), call.stream, options_.operands(call)); }
  std::string implementation() const override { return "own cuda"; }

 private:
  DecideOptions options_;
};

const RegisterKernel registered[] = {{"step.squares", simple_kernel(run_squares)},
                                     {"step.decide", [](const OpSpec& op) { return std::make_unique<Decide>(op); }}};

}  // namespace
}  // namespace lockstep::cuda
