#include "tests/core/layers/pooling_cases.h"

namespace lockstep::test {
namespace {

// Golden values: PyTorch 2.15.0, tests/golden/pooling.py.
TEST(GlobalAveragePoolTest, EqualsPyTorch) {
  constexpr double kLow = -0.020833334, kLower = -0.104166664, kHigh = 0.0416666679;
  compare_pooling(make_from<Layer>("global_average_pool"), {3, 2, 2}, 2, {-0.020833334, -0.0625, -0.0625, 0.125},
                  {kLow,  kLower, kLow,  kLower, kLow,  kLower, kLow,  kLower, kLow,  kLower, kLow,  kLower,
                   kHigh, -kHigh, kHigh, -kHigh, kHigh, -kHigh, kHigh, -kHigh, kHigh, -kHigh, kHigh, -kHigh},
                  3e-8);
}

TEST(GlobalAveragePoolTest, PassesTheChecksOfEveryLayer) {
  LayerCase c(make_from<Layer>("global_average_pool"), {{Shape{5, 4, 7}, Dtype::f32}});
  c.check_all();
}

TEST(GlobalAveragePoolTest, RefusesWhatDoesNotFit) {
  const TensorSpec flat{Shape{4}, Dtype::f32}, bytes{Shape{2, 2, 1}, Dtype::u8};
  const auto describe = [](std::vector<TensorSpec> inputs) {
    return error_text([&] { make_from<Layer>("global_average_pool")->describe(inputs); });
  };
  EXPECT_EQ(describe({flat}), "expected [h, w, c], got [4]");
  EXPECT_EQ(describe({bytes}), "expected f32, bf16 or f16, got u8");
  EXPECT_EQ(describe({flat, flat}), "expected one input [h, w, c], got 2 inputs");
}

}  // namespace
}  // namespace lockstep::test
