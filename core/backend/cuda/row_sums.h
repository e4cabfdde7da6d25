#pragma once

#include <cstdint>

#include "core/backend/cuda/lane_cut.h"

// Losses and metrics: a kernel leaves the two numbers of each row in the workspace, and `sum_rows` adds those of a lane in an
// order that only the lane's number of rows decides.
namespace lockstep::cuda {

/// What a row adds to a statistic [numerator, denominator].
using RowSum = double2;

inline std::size_t row_sums_bytes(const OpSpec& spec) { return static_cast<std::size_t>(spec.max_rows) * sizeof(RowSum); }

inline constexpr unsigned kWarp = 32, kWarpsOfBlock = 8;  ///< warps of a block of kernels that give each row a warp

inline dim3 warp_blocks(std::int64_t rows) { return dim3(static_cast<unsigned>((rows + kWarpsOfBlock - 1) / kWarpsOfBlock)); }
/// The row of the calling thread's warp, in blocks of (kWarp, kWarpsOfBlock) threads.
__device__ inline std::int64_t warp_row() { return static_cast<std::int64_t>(blockIdx.x) * kWarpsOfBlock + threadIdx.y; }

/// The sum over a warp, the same bits in every thread.
template <class T>
__device__ T warp_sum(T value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

/// A label, or -1 where it is not in [0, classes): then `fault` (unless null) learns of the row of the batch.
__device__ inline std::int64_t checked_label(const std::int64_t* labels, std::int64_t row, std::int64_t classes, std::int64_t first_row,
                                             std::int64_t* fault) {
  const std::int64_t label = labels[row];
  if (label >= 0 && label < classes) return label;
  if (fault && threadIdx.x == 0) atomicMax(reinterpret_cast<long long*>(fault), static_cast<long long>(1 + first_row + row));
  return -1;
}

/// Writes the statistics of a call's lanes, write 0, from `rows` in the workspace.
void sum_rows(const KernelCall& call, const RowSum* rows);

}  // namespace lockstep::cuda
