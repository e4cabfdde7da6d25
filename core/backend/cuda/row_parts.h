#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "core/backend/cuda/element.h"

namespace lockstep::cuda {

/// Threads of a block of kernels that give each thread one item of work.
inline constexpr int kItemThreads = 256;
inline dim3 item_blocks(std::int64_t items) { return dim3(static_cast<unsigned>((items + kItemThreads - 1) / kItemThreads)); }
__device__ inline unsigned item_index() { return blockIdx.x * blockDim.x + threadIdx.x; }

/// Elements that one launch covers at most: kernels then count in 32 bits, which divide several times faster than 64.
inline constexpr std::int64_t kMostElements = std::int64_t{1} << 31;

/// Of kernels that work through `in_parts`: `run_file` error where a sample of `elements` elements is too large for them.
inline void require_fits(const OpSpec& op, std::int64_t elements) {
  if (elements > kMostElements)
    fail(ErrorKind::run_file, "layer \"{}\": {}: expected samples of at most {} elements on a cuda device, got {}", op.layer, op.op,
         kMostElements, elements);
}

/// Calls body(first_row, rows) for as few runs of rows as kMostElements allows; `elements` is the largest operand's.
template <class Body>
void in_parts(std::int64_t rows, std::int64_t elements, const Body& body) {
  const std::int64_t most = std::max<std::int64_t>(1, kMostElements / std::max<std::int64_t>(1, elements));
  for (std::int64_t first = 0; first < rows; first += most) body(first, std::min(most, rows - first));
}

/// `WIDTH` neighbouring elements: one, or eight at an address that is a multiple of 16 bytes (8 for bytes).
template <class T>
__device__ inline void load_elements(const T* from, float (&to)[1]) {
  to[0] = widen(*from);
}
template <class T>
__device__ inline void load_elements(const T* from, float (&to)[8]) {
  load8(from, to);
}
template <class T>
__device__ inline void store_elements(T* to, const float (&from)[1]) {
  narrow(*to, from[0]);
}
template <class T>
__device__ inline void store_elements(T* to, const float (&from)[8]) {
  store8(to, from);
}
__device__ inline void load_bytes(const std::uint8_t* from, unsigned (&to)[1]) { to[0] = *from; }
__device__ inline void load_bytes(const std::uint8_t* from, unsigned (&to)[8]) {
  const uint2 v = *reinterpret_cast<const uint2*>(from);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[i] = v.x >> 8 * i & 0xFFu;
    to[4 + i] = v.y >> 8 * i & 0xFFu;
  }
}
__device__ inline void store_bytes(std::uint8_t* to, const unsigned (&from)[1]) { *to = static_cast<std::uint8_t>(from[0]); }
__device__ inline void store_bytes(std::uint8_t* to, const unsigned (&from)[8]) {
  *reinterpret_cast<uint2*>(to) =
      make_uint2(from[0] | from[1] << 8 | from[2] << 16 | from[3] << 24, from[4] | from[5] << 8 | from[6] << 16 | from[7] << 24);
}

/// Whether eight-element accesses may be used: all rows hold a multiple of eight and the addresses suit.
inline bool suits_vectors(std::int64_t elements, std::initializer_list<const void*> of_elements,
                          std::initializer_list<const void*> of_bytes = {}) {
  const auto at = [](const void* address, std::uintptr_t bytes) { return reinterpret_cast<std::uintptr_t>(address) % bytes == 0; };
  return elements % 8 == 0 && std::all_of(of_elements.begin(), of_elements.end(), [&](const void* p) { return at(p, 16); }) &&
         std::all_of(of_bytes.begin(), of_bytes.end(), [&](const void* p) { return at(p, 8); });
}

}  // namespace lockstep::cuda
