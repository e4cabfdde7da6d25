#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.h"
#include "core/tensor/stream.h"

namespace lockstep::cuda {

/// Copies of parameters and sums of gradients around the kernels of NVIDIA's libraries. All addresses are the device's;
/// all calls queue and return.

/// A filter bank [out, in, taps] in f32, as the parameter arena has it.
struct FilterShape {
  std::int64_t out = 0, in = 0, taps = 1;
  std::int64_t elements() const { return out * in * taps; }
};

/// f32 [out, in, taps] to [out, taps, in] of the type.
void pack_filters(const FilterShape& shape, const float* plain, Dtype dtype, void* packed, StreamView stream);
/// f32 [out, taps, in] to f32 [out, in, taps].
void unpack_filters(const FilterShape& shape, const float* packed, float* plain, StreamView stream);
/// Element by element to f32.
void widen_to_f32(std::int64_t elements, Dtype dtype, const void* from, float* to, StreamView stream);

/// sums[c] = the sum of values[p, c] over p, in an order that positions and channels alone decide; zeros for no
/// positions. `workspace` holds column_sums_workspace().
void column_sums(std::int64_t positions, std::int64_t channels, Dtype dtype, const void* values, float* sums, std::byte* workspace,
                 StreamView stream);
std::size_t column_sums_workspace(std::int64_t positions, std::int64_t channels);

}  // namespace lockstep::cuda
