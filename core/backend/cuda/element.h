#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <bit>
#include <cstdint>

#include "core/backend/kernel.h"
#include "core/base/error.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "launch.h"

namespace lockstep::cuda {

/// The element types of activations on the device: float, BFloat16, Float16. Arithmetic is f32, rounded once at a store.
__device__ inline float widen(float value) { return value; }
__device__ inline float widen(BFloat16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }
__device__ inline float widen(Float16 value) { return __half2float(__ushort_as_half(value.bits)); }

__device__ inline void narrow(float& target, float value) { target = value; }
__device__ inline void narrow(BFloat16& target, float value) { target.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value)); }
__device__ inline void narrow(Float16& target, float value) { target.bits = __half_as_ushort(__float2half_rn(value)); }

/// Eight neighbouring elements by 16-byte accesses: the address is a multiple of 16 bytes.
__device__ inline void load8(const float* from, float (&to)[8]) {
  const float4 a = *reinterpret_cast<const float4*>(from), b = *reinterpret_cast<const float4*>(from + 4);
  to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w, to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
}
template <class T>
__device__ inline void load8(const T* from, float (&to)[8]) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  const unsigned words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[2 * i] = widen(T{static_cast<std::uint16_t>(words[i] & 0xFFFFu)});
    to[2 * i + 1] = widen(T{static_cast<std::uint16_t>(words[i] >> 16)});
  }
}
__device__ inline void store8(float* to, const float (&from)[8]) {
  *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
  *reinterpret_cast<float4*>(to + 4) = make_float4(from[4], from[5], from[6], from[7]);
}
template <class T>
__device__ inline void store8(T* to, const float (&from)[8]) {
  unsigned words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    T low, high;
    narrow(low, from[2 * i]);
    narrow(high, from[2 * i + 1]);
    words[i] = static_cast<unsigned>(low.bits) | static_cast<unsigned>(high.bits) << 16;
  }
  *reinterpret_cast<uint4*>(to) = make_uint4(words[0], words[1], words[2], words[3]);
}

/// Calls body(T{}) with the element type of an operand.
template <class Body>
auto with_element_type(const OpSpec& op, Dtype dtype, const Body& body) {
  if (dtype == Dtype::f32) return body(float{});
  if (dtype == Dtype::bf16) return body(BFloat16{});
  if (dtype == Dtype::f16) return body(Float16{});
  fail(ErrorKind::internal, "{}: expected f32, bf16 or f16, got {}", op.op, name_of(dtype));
}

/// Whether every row of tensors with `elements` elements of `T` begins at a multiple of 16 bytes and has a multiple of 8
/// elements: then load8 and store8 may be used.
template <class T>
bool whole_vectors(std::int64_t elements) {
  return elements % 8 == 0;
}

}  // namespace lockstep::cuda
