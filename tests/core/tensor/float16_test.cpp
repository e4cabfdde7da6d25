#include "core/tensor/float16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <limits>
#include <xmmintrin.h>

namespace lockstep {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// IEEE 754 by its definition: sign, exponent, fraction.
double meaning(int bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31 ? (fraction ? std::nan("") : std::numeric_limits<double>::infinity())
                      : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                                     : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -size : size;
}

Float16 half(int bits) { return {static_cast<std::uint16_t>(bits)}; }

/// Rounds by counting units of the last place in f64, where all of it is exact.
double nearest(float value) {
  const double size = std::fabs(static_cast<double>(value));
  const double unit = std::ldexp(1.0, std::max(size > 0 ? std::ilogb(size) : -24, -14) - 10);
  const double rounded = std::nearbyint(size / unit) * unit;  // to even, the mode of the test
  return std::copysign(rounded > 65504 ? std::numeric_limits<double>::infinity() : rounded, static_cast<double>(value));
}

void expect_nearest(float value) {
  const double got = static_cast<double>(to_float(to_float16(value))), wanted = nearest(value);
  ASSERT_EQ(got, wanted) << value;
  ASSERT_EQ(std::signbit(got), std::signbit(wanted)) << value;
}

TEST(Float16Test, EveryValueWidensToWhatItMeansAndComesBack) {
  for (int bits = 0; bits < 65536; ++bits) {
    const float wide = to_float(half(bits));
    const double wanted = meaning(bits);
    if (std::isnan(wanted)) {
      EXPECT_TRUE(std::isnan(wide)) << bits;
      EXPECT_TRUE(std::isnan(to_float(to_float16(wide)))) << bits;
      continue;
    }
    ASSERT_EQ(static_cast<double>(wide), wanted) << bits;
    ASSERT_EQ(std::signbit(wide), bits >= 0x8000) << bits;
    ASSERT_EQ(to_float16(wide).bits, bits);
  }
}

TEST(Float16Test, RoundsToTheNearestAndTiesToEven) {
  ASSERT_EQ(std::fegetround(), FE_TONEAREST);
  for (int bits = 0; bits < 0x7BFF; ++bits)
    for (const float sign : {1.0f, -1.0f}) {
      const float low = to_float(half(bits)), high = to_float(half(bits + 1)), middle = (low + high) / 2;  // exact in f32
      for (const float value : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, kInfinity), std::nextafter(low, kInfinity)})
        expect_nearest(sign * value);
      ASSERT_EQ(to_float16(middle).bits % 2, 0) << bits;
    }
}

TEST(Float16Test, RoundsAsDefinedOverAllExponents) {
  for (std::uint64_t bits = 0; bits < 0x7F800000u; bits += 4999) expect_nearest(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
}

TEST(Float16Test, OverflowsToInfinityHalfAUnitAboveTheLargest) {
  EXPECT_EQ(to_float16(65504.0f).bits, 0x7BFF);
  EXPECT_EQ(to_float16(std::nextafter(65520.0f, 0.0f)).bits, 0x7BFF);
  EXPECT_EQ(to_float16(65520.0f).bits, 0x7C00);
  EXPECT_EQ(to_float16(-65520.0f).bits, 0xFC00);
  EXPECT_EQ(to_float16(kInfinity).bits, 0x7C00);
  EXPECT_EQ(to_float16(std::numeric_limits<float>::max()).bits, 0x7C00);
}

TEST(Float16Test, NoNumberStaysNoNumber) {
  for (const std::uint32_t bits : {0x7F800001u, 0x7FC00000u, 0x7FFFFFFFu, 0xFF800001u, 0xFFFFFFFFu}) {
    const Float16 narrow = to_float16(std::bit_cast<float>(bits));
    EXPECT_TRUE(std::isnan(to_float(narrow))) << bits;
    EXPECT_EQ(narrow.bits >> 15, bits >> 31) << bits;
  }
}

/// Worker threads flush f32's subnormals; those of f16 are ordinary f32 numbers and must live.
TEST(Float16Test, SubnormalsSurviveFlushingToZero) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u);
  volatile float smallest = 0x1p-24f;
  const std::uint16_t narrow = to_float16(smallest).bits;
  volatile std::uint16_t source = 0x03FF;
  const float wide = to_float(Float16{source});
  _mm_setcsr(before);
  EXPECT_EQ(narrow, 1);
  EXPECT_EQ(wide, 1023 * 0x1p-24f);
}

}  // namespace
}  // namespace lockstep
