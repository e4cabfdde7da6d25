#pragma once

#include <bit>
#include <cstdint>

#include "core/base/formula.h"
#include "core/tensor/bfloat16.h"

namespace lockstep {

/// IEEE 754 binary16. Conversion rounds to nearest even, beyond 65504 to infinity; a NaN stays a NaN.
struct Float16 {
  std::uint16_t bits;
};

LOCKSTEP_FORMULA inline float to_float(Float16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16, rest = value.bits & 0x7FFFu;
  // Subnormal numbers count units of 2^-24; as an f32's bits they would be lost where subnormals are flushed.
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(rest) * 0x1p-24f);
  const std::uint32_t bits = rest < 0x400u ? subnormal : rest < 0x7C00u ? (rest << 13) + 0x38000000u : (rest << 13) | 0x7F800000u;
  return std::bit_cast<float>(bits | sign);
}

LOCKSTEP_FORMULA inline Float16 to_float16(float value) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(value), sign = (u >> 16) & 0x8000u, magnitude = u & 0x7FFFFFFFu;
  std::uint32_t half;
  if (magnitude > 0x7F800000u) {
    half = 0x7E00u;
  } else if (magnitude >= 0x477FF000u) {
    half = 0x7C00u;
  } else if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 lets the hardware round to the subnormals' unit, 2^-24.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
  } else {
    half = (magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13;
  }
  return {static_cast<std::uint16_t>(half | sign)};
}

LOCKSTEP_FORMULA inline void store(Float16& target, float value) { target = to_float16(value); }
template <>
inline constexpr float kRoundsToZero<Float16> = 0x1p-25f;

}  // namespace lockstep
