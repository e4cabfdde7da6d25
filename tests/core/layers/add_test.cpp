#include <gtest/gtest.h>

#include "tests/support/error_text.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

TEST(AddTest, SumsAllInputsAndHandsTheGradientToEach) {
  const TensorSpec x{Shape{3}, Dtype::f32};
  for (const std::size_t count : {2u, 3u, 4u}) {
    LayerCase c(make_from<Layer>("add"), std::vector<TensorSpec>(count, x));
    c.rows = 1;
    for (int i = 0; i < static_cast<int>(count); ++i) c.set_input(i, {1.0 * i, 2.0, -0.5 * i});
    c.set_output_gradient(0, {0.25, -1.0, 3.0});
    c.run_forward();
    c.run_backward();
    const double n = static_cast<double>(count), sum = n * (n - 1) / 2;
    EXPECT_EQ(c.output(0), (std::vector<double>{sum, 2 * n, -0.5 * sum}));
    for (int i = 0; i < static_cast<int>(count); ++i) EXPECT_EQ(c.input_gradient(i), (std::vector<double>{0.25, -1.0, 3.0}));
  }
}

TEST(AddTest, PassesTheChecksOfEveryLayer) {
  const TensorSpec x{Shape{2, 3, 5}, Dtype::f32};
  LayerCase c(make_from<Layer>("add"), {x, x, x});
  c.check_all();
}

TEST(AddTest, RefusesWhatDoesNotFit) {
  const TensorSpec x{Shape{2, 3}, Dtype::f32}, y{Shape{3, 2}, Dtype::f32}, bytes{Shape{2}, Dtype::u8};
  const auto describe = [](std::vector<TensorSpec> inputs) { return error_text([&] { make_from<Layer>("add")->describe(inputs); }); };
  EXPECT_EQ(describe({x}), "expected two or more inputs, got 1");
  EXPECT_EQ(describe({x, y}), "expected inputs of one shape, got [2, 3] f32 and [3, 2] f32");
  EXPECT_EQ(describe({bytes, bytes}), "expected f32, bf16 or f16, got u8");
}

}  // namespace
}  // namespace lockstep::test
