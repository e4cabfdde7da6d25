#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <source_location>

// The built-in variables of a kernel's thread. They are set whenever another thread goes on.
extern constinit thread_local uint3 threadIdx, blockIdx;
extern constinit thread_local dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace lockstep::simt {

/// What every thread of a grid runs.
struct Body {
  void (*run)(const void*) = nullptr;
  const void* data = nullptr;
};

/// Runs a grid on the calling thread, a block at a time; blocks, and the threads between two barriers, in random order.
/// A thread has a stack of its own from its first barrier on. Throws an `internal` error where threads wait for each other
/// in vain, naming the barriers and the seed; the grid is then abandoned.
void run_grid(dim3 grid, dim3 block, Body body);

/// Whether the calling thread is inside a kernel.
bool in_kernel();

/// The values that the lanes of a mask brought to a meeting of their warp.
struct WarpValues {
  std::uint64_t values[32];
  unsigned lanes;  ///< who brought one; lanes that have left bring none
};

/// What barriers and shuffles are made of. Called by a kernel's thread.
struct BlockVote {
  int sum = 0;
  bool all = true, any = false;
};
BlockVote meet_block(int predicate, const std::source_location& at);
/// Returns the value of lane `source`; an error where that lane brought none.
std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source, const std::source_location& at);
void meet_warp(unsigned mask, std::uint64_t value, const std::source_location& at, WarpValues* all);
int lane();

}  // namespace lockstep::simt
