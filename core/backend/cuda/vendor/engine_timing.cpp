#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <random>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/vendor/cudnn.h"
#include "core/backend/cuda/vendor/engine_choice.h"

namespace lockstep::cuda {

namespace {

constexpr int kWarmUps = 3, kRuns = 10;
constexpr std::size_t kCacheBytes = std::size_t{128} << 20;  ///< twice the second-level cache of the largest GPUs
constexpr std::size_t kMostSets = 8;

struct FreeMemory {
  void operator()(void* memory) const { cudaFree(memory); }
};
using Memory = std::unique_ptr<void, FreeMemory>;

/// Null where there is none.
Memory allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, std::max<std::size_t>(bytes, 256)) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  return Memory(memory);
}

/// Small numbers of any of the three types: the high bytes decide, the low ones are noise.
std::vector<std::uint16_t> noise() {
  std::vector<std::uint16_t> values(std::size_t{1} << 19);
  std::mt19937 random(1);
  for (auto& value : values) value = static_cast<std::uint16_t>(0x3800 + random() % 0x300 + (random() & 1 ? 0x8000 : 0));
  return values;
}

struct Timer {
  Timer() {
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
    check(cudnnCreate(&handle), "cudnnCreate");
    check(cudnnSetStream(handle, stream), "cudnnSetStream");
  }
  ~Timer() {
    if (handle) cudnnDestroy(handle);
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    cudaStreamDestroy(stream);
  }
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  cudnnHandle_t handle = nullptr;
};

}  // namespace

std::vector<double> microseconds_of(const ConvolutionProblem& problem, std::int64_t rows, const std::vector<const ConvolutionPlan*>& plans) {
  std::vector<double> medians(plans.size());
  const auto& g = problem.geometry;
  const auto bytes_of = [&](std::int64_t elements) { return (static_cast<std::size_t>(elements) * sizeof(float) + 255) / 256 * 256; };
  const std::array<std::size_t, 4> sizes = {bytes_of(rows * g.in * g.input[0] * g.input[1]), bytes_of(g.weights()),
                                            bytes_of(rows * g.out * g.output[0] * g.output[1]), bytes_of(g.out)};
  const std::size_t set_bytes = sizes[0] + sizes[1] + sizes[2] + sizes[3];
  const std::size_t sets = std::clamp(kCacheBytes / set_bytes + 1, std::size_t{1}, kMostSets);
  std::size_t scratch_bytes = 0;
  for (const ConvolutionPlan* plan : plans)
    if (plan) scratch_bytes = std::max(scratch_bytes, plan->facts().workspace_bytes);
  const Memory operands = allocate(sets * set_bytes), scratch = allocate(scratch_bytes);
  if (!operands || !scratch) return medians;
  const std::vector<std::uint16_t> values = noise();
  for (std::size_t at = 0; at < sets * set_bytes; at += values.size() * 2)
    check(cudaMemcpy(static_cast<std::byte*>(operands.get()) + at, values.data(), std::min(values.size() * 2, sets * set_bytes - at),
                     cudaMemcpyHostToDevice),
          "cudaMemcpy");

  Timer timer;
  std::size_t turn = 0;
  for (std::size_t index = 0; index < plans.size(); ++index) {
    if (!plans[index]) continue;
    std::vector<double> times;
    for (int run = 0; run < kWarmUps + kRuns; ++run) {
      std::byte* const set = static_cast<std::byte*>(operands.get()) + turn++ % sets * set_bytes;
      const ConvolutionPointers at{.source = set,
                                   .weights = set + sizes[0],
                                   .destination = set + sizes[0] + sizes[1],
                                   .bias = g.bias ? set + sizes[0] + sizes[1] + sizes[2] : nullptr};
      check(cudaEventRecord(timer.begin, timer.stream), "cudaEventRecord");
      plans[index]->run(timer.handle, at, static_cast<std::byte*>(scratch.get()));
      check(cudaEventRecord(timer.end, timer.stream), "cudaEventRecord");
      check(cudaEventSynchronize(timer.end), "cudaEventSynchronize");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, timer.begin, timer.end), "cudaEventElapsedTime");
      if (run >= kWarmUps) times.push_back(1000.0 * static_cast<double>(milliseconds));
    }
    std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
    medians[index] = times[kRuns / 2];
  }
  return medians;
}

}  // namespace lockstep::cuda
