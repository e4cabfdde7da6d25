#include <gtest/gtest.h>

#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Loss> mean_squared_error() { return make_from<Loss>({{"mean_squared_error", Value::text("target")}}); }

// Golden values: PyTorch 2.15.0, tests/golden/losses.py.
TEST(MeanSquaredErrorTest, AgreesWithPyTorch) {
  LayerCase c(mean_squared_error(), {{{2}, Dtype::f32}, {{2}, Dtype::f32}});
  c.rows = 3, c.lanes = 2;
  c.set_input(0, {1.0, -2.0, 0.5, 3.0, 0.25, 0.75});
  c.set_input(1, {0.0, 1.0, 0.5, 2.0, 1.0, -1.0});
  c.run_forward();
  c.run_backward();
  EXPECT_EQ(c.statistic(0), (std::vector<double>{2.4375 * 3, 3}));
  const std::vector<double> expected = {0.333333343, -1, 0, 0.333333343, -0.25, 0.583333373};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(c.input_gradient(0)[i], expected[i], 1e-7);
}

TEST(MeanSquaredErrorTest, PassesTheChecks) {
  for (const bool weighted : {false, true}) {
    std::vector<TensorSpec> specs = {{{3, 7}, Dtype::f32}, {{3, 7}, Dtype::f32}};
    if (weighted) specs.push_back({{}, Dtype::f32});
    LayerCase c(mean_squared_error(), specs);
    c.rows = 5, c.lanes = 3;
    c.f32_inputs = {1, 2};
    c.input_gradient_modes = {{1, WriteMode::skip}, {2, WriteMode::skip}};
    if (weighted) c.set_input(2, {0.5, 1, 0, 2, 1});
    c.check_gradients();
    c.check_repeatable();
    c.check_rows_invariance();
    c.check_write_modes();
    c.check_bf16();
  }
}

TEST(MeanSquaredErrorTest, AScalarTargetServesOneOutput) {
  LayerCase c(mean_squared_error(), {{{1}, Dtype::f32}, {{}, Dtype::f32}});
  c.rows = 2, c.lanes = 1;
  c.set_input(0, {3, 1});
  c.set_input(1, {1, 1});
  c.run_forward();
  EXPECT_EQ(c.statistic(0), (std::vector<double>{4, 2}));
}

TEST(MeanSquaredErrorTest, RefusesOtherShapes) {
  try {
    mean_squared_error()->describe(std::vector<TensorSpec>{{{2}, Dtype::f32}, {{3}, Dtype::f32}});
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "expected a target [2] f32 like the prediction, got [3] f32");
  }
}

}  // namespace
}  // namespace lockstep::test
