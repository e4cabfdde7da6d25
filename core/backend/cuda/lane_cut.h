#pragma once

#include <cstdint>

#include "core/backend/kernel.h"
#include "launch.h"

namespace lockstep::cuda {

/// Which rows of a call each of its lanes has (KernelCall::lanes), for the host and for kernels.
struct LaneCut {
  explicit LaneCut(const KernelCall& call)
      : lanes(call.lane_rows > 0 ? call.lanes : 1), rows(call.rows), lane_rows(call.lane_rows > 0 ? call.lane_rows : call.rows) {}

  /// Lanes that have rows: the first ones.
  unsigned filled() const { return lane_rows > 0 ? static_cast<unsigned>((rows + lane_rows - 1) / lane_rows) : 0u; }
  /// The most rows that a lane has here.
  std::int64_t most() const { return rows < lane_rows ? rows : lane_rows; }

  __device__ std::int64_t first(unsigned lane) const { return lane * lane_rows; }
  __device__ std::int64_t count(unsigned lane) const {
    const std::int64_t left = rows - first(lane);
    return left < 0 ? 0 : left < lane_rows ? left : lane_rows;
  }

  int lanes;
  std::int64_t rows, lane_rows;
};

/// One write of a call over several lanes; null where it is not wanted.
template <class T>
struct LaneResult {
  LaneResult() = default;
  LaneResult(const KernelCall& call, std::size_t write)
      : data(static_cast<std::byte*>(call.writes[write])), stride(write < call.lane_strides.size() ? call.lane_strides[write] : 0) {}
  __device__ T* of(unsigned lane) const { return data ? reinterpret_cast<T*>(data + lane * stride) : nullptr; }

  std::byte* data = nullptr;
  std::int64_t stride = 0;
};

/// The most (lane, chunk) pairs that a per-lane kernel meets in a call, where a chunk is `chunk` of the `row_items` items of
/// each row: several full lanes, or one lane of all rows.
inline std::int64_t most_chunks(const OpSpec& spec, std::int64_t row_items, std::int64_t chunk) {
  const auto up = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const std::int64_t lane_rows = spec.lane_rows > 0 ? spec.lane_rows : spec.max_rows;
  const std::int64_t together = lane_rows > 0 ? up(spec.max_rows, lane_rows) * up(lane_rows * row_items, chunk) : 0;
  const std::int64_t alone = up(spec.max_rows * row_items, chunk);
  return together > alone ? together : alone;
}

}  // namespace lockstep::cuda
