#pragma once

#include <array>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace lockstep::cpu {

/// Every stride-th pixel, from the first, of [rows, height, width, channels].
struct PixelGrid {
  std::int64_t rows = 1;
  std::array<std::int64_t, 2> full{1, 1}, kept{1, 1}, stride{1, 1};
  std::int64_t channels = 0;
};

/// to[rows, kept, channels] = the grid's pixels of from[rows, full, channels]. Types f32 or bf16.
void take_pixels(const PixelGrid& grid, const void* from, Dtype from_type, void* to, Dtype to_type);

/// The reverse: the grid's pixels of `to` are those of `from`, all others are zero.
void put_pixels(const PixelGrid& grid, const void* from, Dtype from_type, void* to, Dtype to_type);

}  // namespace lockstep::cpu
