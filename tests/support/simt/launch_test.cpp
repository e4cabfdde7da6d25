#include "launch.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/support/error_text.h"
#include "tests/support/simt/random.h"

namespace lockstep::simt {
namespace {

using cuda::launch;

/// Runs a kernel on a stream of its own and waits; the text of its error, or empty.
template <class... Parameters, class... Arguments>
std::string run(void (*kernel)(Parameters...), dim3 grid, dim3 block, Arguments... arguments) {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  launch(kernel, grid, block, StreamView{stream}, arguments...);
  const cudaError_t error = cudaStreamSynchronize(stream);
  std::string text = error == cudaSuccess ? "" : cudaGetErrorString(error);
  cudaStreamDestroy(stream);
  reset();
  return text;
}

void expect_contains(const std::string& text, const std::string& part) { EXPECT_NE(text.find(part), std::string::npos) << text; }

__global__ void number(int* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] += i;
}

TEST(SimtLaunchTest, RunsEveryThreadOnce) {
  std::vector<int> out(1000, 0);
  EXPECT_EQ(run(number, dim3(4), dim3(256), out.data(), 1000), "");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i);
}

__global__ void indices(int* out) {
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1;
}

TEST(SimtLaunchTest, CountsInThreeDimensions) {
  std::vector<int> out(static_cast<std::size_t>(2 * 3 * 4 * 5 * 2 * 3), 0);
  EXPECT_EQ(run(indices, dim3(2, 3, 4), dim3(5, 2, 3), out.data()), "");
  EXPECT_EQ(out, std::vector<int>(out.size(), 1));
}

template <bool kBarrier>
__global__ void block_sum(const float* in, float* out) {
  __shared__ float part[128];
  const unsigned t = threadIdx.x;
  part[t] = in[blockIdx.x * 128 + t];
  for (unsigned half = 64; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) part[t] += part[t + half];
  }
  if constexpr (kBarrier) __syncthreads();
  if (t == 127) out[blockIdx.x] = part[0];
}

TEST(SimtLaunchTest, AMissingBarrierGivesWrongNumbers) {
  const std::vector<float> in(512, 1.0f);
  bool wrong = false;
  for (int i = 0; i < 20; ++i) {
    std::vector<float> out(4, 0.0f);
    EXPECT_EQ(run(block_sum<true>, dim3(4), dim3(128), in.data(), out.data()), "");
    EXPECT_EQ(out, std::vector<float>(4, 128.0f));
    run(block_sum<false>, dim3(4), dim3(128), in.data(), out.data());
    wrong = wrong || out != std::vector<float>(4, 128.0f);
  }
  EXPECT_TRUE(wrong);
}

__global__ void warp_sums(int* out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  int sum = lane;
  for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
  int running = lane;
  for (unsigned d = 1; d < 32; d *= 2) {
    const int before = __shfl_up_sync(~0u, running, d);
    if (lane >= static_cast<int>(d)) running += before;
  }
  const unsigned odd = __ballot_sync(~0u, lane % 2);
  int down = lane;
  // Half a warp alone.
  if (lane < 16) down = __shfl_down_sync(0xFFFFu, lane, 1u, 16);
  if (lane >= 16) down = __shfl_sync(0xFFFF0000u, lane, 3, 16);
  __syncwarp();
  out[threadIdx.x] = sum == 496 && running == lane * (lane + 1) / 2 && odd == 0xAAAAAAAAu && __any_sync(~0u, lane == 5) &&
                     !__all_sync(~0u, lane == 5) && __reduce_max_sync(~0u, lane) == 31 && __reduce_add_sync(~0u, 2u) == 64u &&
                     down == (lane < 15 ? lane + 1 : lane == 15 ? 15 : 19);
}

TEST(SimtLaunchTest, ShufflesAndVotes) {
  std::vector<int> out(96, 0);
  EXPECT_EQ(run(warp_sums, dim3(1), dim3(96), out.data()), "");
  EXPECT_EQ(out, std::vector<int>(96, 1));
}

__global__ void some_leave() {
  if (threadIdx.x < 3) return;
  __syncthreads();
}
__global__ void two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void warp_is_split() {
  if (threadIdx.x < 7) __syncwarp();
  else __syncwarp(0xFFFFFFF0u);
}
__global__ void reads_a_stranger(int* out) {
  if (threadIdx.x < 4) out[threadIdx.x] = __shfl_sync(0xFu, 1, 9);
}
__global__ void not_in_its_mask() { __syncwarp(threadIdx.x < 16 ? 0xFFFFu : 0xFFu); }
__global__ void lanes_leave(int* out) {
  if (threadIdx.x >= 20) return;
  out[threadIdx.x] = __reduce_add_sync(~0u, 1u) == 20u;
}

TEST(SimtLaunchTest, NamesBarriersThatDoNotMeet) {
  expect_contains(run(some_leave, dim3(1), dim3(64)), "61 at launch_test.cpp:");
  expect_contains(run(some_leave, dim3(1), dim3(64)), "3 of 64 have left (seed ");
  expect_contains(run(two_barriers, dim3(1), dim3(64)), "wait at different barriers");
  expect_contains(run(warp_is_split, dim3(1), dim3(32)), "(mask 0xfffffff0)");
  std::vector<int> out(32, 0);
  expect_contains(run(reads_a_stranger, dim3(1), dim3(32), out.data()), "that takes no part (mask 0xf");
  expect_contains(run(not_in_its_mask, dim3(1), dim3(32)), "is not in its own mask 0xff");
  EXPECT_EQ(run(lanes_leave, dim3(1), dim3(32), out.data()), "");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], 1);
}

__global__ void nothing() {}

TEST(SimtLaunchTest, LimitsAreThoseOfAGpu) {
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  const auto error = [&](dim3 grid, dim3 block) { return test::error_text([&] { launch(nothing, grid, block, StreamView{stream}); }); };
  EXPECT_EQ(error(dim3(0), dim3(1)), "no error");
  EXPECT_EQ(error(dim3(1), dim3(1024)), "no error");
  EXPECT_EQ(error(dim3(1), dim3(1025)), "cuda: kernel launch: invalid configuration argument");
  EXPECT_EQ(error(dim3(1, 65536), dim3(1)), "cuda: kernel launch: invalid configuration argument");
  EXPECT_EQ(error(dim3(1), dim3(1, 1, 65)), "cuda: kernel launch: invalid configuration argument");
  cudaStreamDestroy(stream);
  reset();
}

__global__ void atomics(int* least, long long* most, unsigned* count) {
  const int i = static_cast<int>(threadIdx.x);
  atomicMin(least, -i);
  atomicMax(most, 1LL << i);
  atomicAdd(count, 2u);
}

TEST(SimtLaunchTest, AtomicsOnIntegers) {
  int least = 5;
  long long most = -1;
  unsigned count = 1;
  EXPECT_EQ(run(atomics, dim3(2), dim3(40), &least, &most, &count), "");
  EXPECT_EQ(least, -39);
  EXPECT_EQ(most, 1LL << 39);
  EXPECT_EQ(count, 161u);
}

}  // namespace
}  // namespace lockstep::simt
