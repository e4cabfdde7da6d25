#pragma once

#include <bit>
#include <cstdint>

#include "core/base/formula.h"

namespace lockstep {

/// e^x within 1e-7 relative. Below -87.3 it is 0, above 88.7 infinity; NaN stays NaN. Inlines and vectorises, and has the same bits on
/// every machine, which a C library's does not. Taylor series of degree 7 on [-ln 2 / 2, ln 2 / 2] times a power of two.
LOCKSTEP_FORMULA inline float exponential(float x) {
  const float low = x < -87.3f ? -87.3f : x;
  const float inside = low > 88.7f ? 88.7f : low;
  const float shifted = __builtin_fmaf(inside, 1.44269504f, 0x1.8p23f);  // rounds to an integer in the low bits
  const float n = shifted - 0x1.8p23f;
  float r = __builtin_fmaf(n, -0x1.62e4p-1f, inside);  // ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20
  r = __builtin_fmaf(n, -0x1.7f7d1cp-20f, r);
  float p = 1.98412698e-4f;
  p = __builtin_fmaf(p, r, 1.38888889e-3f);
  p = __builtin_fmaf(p, r, 8.33333333e-3f);
  p = __builtin_fmaf(p, r, 4.16666667e-2f);
  p = __builtin_fmaf(p, r, 1.66666667e-1f);
  p = __builtin_fmaf(p, r, 0.5f);
  p = __builtin_fmaf(p, r, 1.0f);
  p = __builtin_fmaf(p, r, 1.0f);
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) << 23;
  float result = std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) + exponent);
  result = x < -87.3f ? 0.0f : result;
  result = x > 88.7f ? __builtin_huge_valf() : result;
  return x != x ? x : result;
}

/// The natural logarithm of a positive normal number, within 2e-7 relative. A NaN stays NaN. Series of atanh.
LOCKSTEP_FORMULA inline float logarithm(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t offset = bits - 0x3F3504F3u;  // sqrt(1/2): the mantissa lands in [sqrt(1/2), sqrt(2))
  const float exponent = static_cast<float>(static_cast<std::int32_t>(offset) >> 23);
  const float m = std::bit_cast<float>((offset & 0x007FFFFFu) + 0x3F3504F3u);
  const float s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
  float p = 1.0f / 9;
  p = __builtin_fmaf(p, s2, 1.0f / 7);
  p = __builtin_fmaf(p, s2, 1.0f / 5);
  p = __builtin_fmaf(p, s2, 1.0f / 3);
  const float log_m = __builtin_fmaf(2.0f * s * s2, p, 2.0f * s);
  const float result = __builtin_fmaf(exponent, 0x1.62e4p-1f, __builtin_fmaf(exponent, 0x1.7f7d1cp-20f, log_m));
  return x != x ? x : result;
}

/// tanh x within 2e-7 relative. Below 0.625 Lambert's continued fraction, above 1 - 2 / (e^2x + 1).
LOCKSTEP_FORMULA inline float hyperbolic_tangent(float x) {
  const float magnitude = __builtin_fabsf(x), z = x * x;
  const float numerator = __builtin_fmaf(z, z + 105.0f, 945.0f);
  const float denominator = __builtin_fmaf(z, __builtin_fmaf(z, 15.0f, 420.0f), 945.0f);
  const float large = __builtin_copysignf(1.0f - 2.0f / (exponential(2.0f * magnitude) + 1.0f), x);
  return magnitude < 0.625f ? x * (numerator / denominator) : large;
}

}  // namespace lockstep
