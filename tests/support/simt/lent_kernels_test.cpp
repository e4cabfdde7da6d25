#include <gtest/gtest.h>

#include "tests/support/device_case.h"

namespace lockstep::test {
namespace {

const auto conv2d = [] {
  return make_from<Layer>({{"conv2d", Value::integer(5)}, {"size", Value::integer(3)}, {"padding", Value::text("same")}});
};
const auto dense = [] { return make_from<Layer>({{"dense", Value::integer(7)}}); };

TEST(LentKernelsTest, AreTheCpus) {
  const LikeCpu same_bits{.f32_tolerance = 0, .bf16_tolerance = 0};
  expect_like_cpu(conv2d, {{{4, 5, 3}}}, same_bits);
  expect_like_cpu(dense, {{Shape{9}}}, same_bits);
}

}  // namespace
}  // namespace lockstep::test
