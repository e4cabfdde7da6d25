#pragma once

#include <bit>
#include <cstdint>

#include "core/base/formula.h"

namespace lockstep {

/// The upper half of an f32. Conversion rounds to nearest even; a NaN stays a NaN.
struct BFloat16 {
  std::uint16_t bits;
};

LOCKSTEP_FORMULA inline float to_float(BFloat16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }
LOCKSTEP_FORMULA inline float to_float(float value) { return value; }

LOCKSTEP_FORMULA inline BFloat16 to_bfloat16(float value) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const std::uint32_t nan = (u >> 16) | 0x40u;
  return {static_cast<std::uint16_t>((u & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded)};
}

/// Stores a float as T, which is float or BFloat16: lets one kernel body serve both.
LOCKSTEP_FORMULA inline void store(float& target, float value) { target = value; }
LOCKSTEP_FORMULA inline void store(BFloat16& target, float value) { target = to_bfloat16(value); }

/// The largest float that a store as T rounds to zero: a stored value is positive exactly where the float was greater.
template <class T>
inline constexpr float kRoundsToZero = 0.0f;
template <>
inline constexpr float kRoundsToZero<BFloat16> = 0x1p-134f;

}  // namespace lockstep
