#include <gtest/gtest.h>

#include <cmath>

#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep {
namespace {

template <class T>
float stored(float value) {
  T target{};
  store(target, value);
  return to_float(target);
}

template <class T>
void expect_the_border_of_zero() {
  EXPECT_EQ(stored<T>(kRoundsToZero<T>), 0.0f);
  EXPECT_GT(stored<T>(std::nextafter(kRoundsToZero<T>, 1.0f)), 0.0f);
}

TEST(RoundsToZeroTest, AStoredValueIsPositiveExactlyAboveIt) {
  expect_the_border_of_zero<float>();
  expect_the_border_of_zero<BFloat16>();
  expect_the_border_of_zero<Float16>();
}

}  // namespace
}  // namespace lockstep
