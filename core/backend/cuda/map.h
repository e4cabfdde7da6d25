#pragma once

#include <cstdint>
#include <type_traits>

#include "core/backend/cuda/element.h"
#include "core/base/formula.h"

namespace lockstep::cuda {

/// Where the operands of an element-wise kernel begin.
template <class T, int kInputs>
struct MapOperands {
  const T* x[kInputs];
  T* y;
};

inline constexpr unsigned kMapThreads = 256;
inline constexpr std::int64_t kMapVector = 8;  ///< elements of a thread where all addresses are multiples of 16 bytes

template <class Formula, int kInputs, bool kAccumulate>
__device__ inline float map_element(const float (&x)[kInputs], float before) {
  return kAccumulate ? before + Formula::value(x) : Formula::value(x);
}

template <class Formula, bool kAccumulate, class T, int kInputs>
__device__ inline void map_one(const MapOperands<T, kInputs>& o, std::int64_t i) {
  float x[kInputs];
#pragma unroll
  for (int k = 0; k < kInputs; ++k) x[k] = widen(o.x[k][i]);
  narrow(o.y[i], map_element<Formula, kInputs, kAccumulate>(x, kAccumulate ? widen(o.y[i]) : 0.0f));
}

template <class Formula, bool kAccumulate, class T, int kInputs>
__global__ void __launch_bounds__(kMapThreads) map_elements(MapOperands<T, kInputs> o, std::int64_t elements) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kMapThreads + threadIdx.x;
  if (i < elements) map_one<Formula, kAccumulate>(o, i);
}

/// The last elements, fewer than a vector, go to the last thread.
template <class Formula, bool kAccumulate, class T, int kInputs>
__global__ void __launch_bounds__(kMapThreads) map_vectors(MapOperands<T, kInputs> o, std::int64_t elements) {
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.x) * kMapThreads + threadIdx.x) * kMapVector;
  if (first + kMapVector > elements) {
    for (std::int64_t i = first; i < elements; ++i) map_one<Formula, kAccumulate>(o, i);
    return;
  }
  float x[kInputs][kMapVector], y[kMapVector];
#pragma unroll
  for (int k = 0; k < kInputs; ++k) load8(o.x[k] + first, x[k]);
  if constexpr (kAccumulate) load8(o.y + first, y);
#pragma unroll
  for (int j = 0; j < kMapVector; ++j) {
    float at[kInputs];
#pragma unroll
    for (int k = 0; k < kInputs; ++k) at[k] = x[k][j];
    y[j] = map_element<Formula, kInputs, kAccumulate>(at, kAccumulate ? y[j] : 0.0f);
  }
  store8(o.y + first, y);
}

/// y = Formula::value(x), or y += it, for each element. The formula computes in f32 from one value of each input:
///   LOCKSTEP_FORMULA static float value(const float (&x)[kInputs]);
/// An input may be y.
template <class Formula, class T, int kInputs>
void launch_map(const MapOperands<T, kInputs>& operands, std::int64_t elements, WriteMode mode, StreamView stream) {
  bool vectors = reinterpret_cast<std::uintptr_t>(operands.y) % 16 == 0;
  for (const T* x : operands.x) vectors = vectors && reinterpret_cast<std::uintptr_t>(x) % 16 == 0;
  const std::int64_t of_block = kMapThreads * (vectors ? kMapVector : 1);
  const dim3 grid(static_cast<unsigned>((elements + of_block - 1) / of_block));
  if (mode == WriteMode::accumulate)
    launch(vectors ? map_vectors<Formula, true, T, kInputs> : map_elements<Formula, true, T, kInputs>, grid, dim3(kMapThreads), stream, operands,
           elements);
  else
    launch(vectors ? map_vectors<Formula, false, T, kInputs> : map_elements<Formula, false, T, kInputs>, grid, dim3(kMapThreads), stream, operands,
           elements);
}

}  // namespace lockstep::cuda
