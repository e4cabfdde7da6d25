#include "core/base/math.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(MathTest, ExponentialIsWithinRoundingOfTheTrueValue) {
  double worst = 0;
  for (double x = -87.2; x < 88.6; x += 0.00037) {
    const float at = static_cast<float>(x);
    const double truth = std::exp(static_cast<double>(at));
    worst = std::max(worst, std::abs(static_cast<double>(exponential(at)) - truth) / truth);
  }
  EXPECT_LT(worst, 1.5e-7);
  EXPECT_EQ(exponential(0.0f), 1.0f);
}

TEST(MathTest, ExponentialKeepsItsLimits) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exponential(-infinity), 0.0f);
  EXPECT_EQ(exponential(-100.0f), 0.0f);
  EXPECT_EQ(exponential(infinity), infinity);
  EXPECT_EQ(exponential(100.0f), infinity);
  EXPECT_TRUE(std::isnan(exponential(std::nanf(""))));
}

TEST(MathTest, LogarithmIsWithinRoundingOfTheTrueValue) {
  double worst = 0;
  for (double x = 1e-37; x < 1e38; x *= 1.00037) {
    const float at = static_cast<float>(x);
    const double truth = std::log(static_cast<double>(at));
    if (at != 1.0f) worst = std::max(worst, std::abs(static_cast<double>(logarithm(at)) - truth) / std::abs(truth));
  }
  for (double x = 0.9; x < 1.1; x += 1.1e-5) {
    const float at = static_cast<float>(x);
    if (at != 1.0f) worst = std::max(worst, std::abs(static_cast<double>(logarithm(at)) / std::log(static_cast<double>(at)) - 1.0));
  }
  EXPECT_LT(worst, 2e-7);
  EXPECT_EQ(logarithm(1.0f), 0.0f);
  EXPECT_TRUE(std::isnan(logarithm(std::nanf(""))));
}

}  // namespace
}  // namespace lockstep
