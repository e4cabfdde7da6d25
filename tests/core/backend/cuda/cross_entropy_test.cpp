#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/device_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Loss> cross_entropy(double smoothing = 0.0) {
  return make_from<Loss>({{"cross_entropy", Value::text("target")}, {"label_smoothing", Value::real(smoothing)}});
}

std::vector<TensorSpec> inputs(std::int64_t k, bool weighted) {
  std::vector<TensorSpec> specs = {{{k}, Dtype::f32}, {{}, Dtype::i64}};
  if (weighted) specs.push_back({{}, Dtype::f32});
  return specs;
}

/// Seven rows in four lanes; then also more rows than a block has warps, in one lane, and lanes without rows.
TEST(CudaCrossEntropyTest, IsAsOnTheCpu) {
  for (const std::int64_t k : {1, 10, 33, 259})
    for (const double smoothing : {0.0, 0.1})
      for (const bool weighted : {false, true}) {
        SCOPED_TRACE(testing::Message() << k << " classes, smoothing " << smoothing << ", weighted " << weighted);
        LikeCpu how{.f32_inputs = {2}, .rows = 7, .integer_limit = k};
        how.prepare = [&](LayerCase& c) {
          c.step.loss_scale = 8;
          if (!weighted) return;
          c.set_input(2, {0.5, 1.0, 0.0, 2.0, 0.25, 3.0, 1.5});
          c.input_gradient_modes = {{2, WriteMode::skip}};
        };
        expect_like_cpu([&] { return cross_entropy(smoothing); }, inputs(k, weighted), how);
      }
  expect_like_cpu([] { return cross_entropy(); }, inputs(5, false), {.rows = 19, .lanes = 1});
  expect_like_cpu([] { return cross_entropy(); }, inputs(5, false), {.rows = 1, .lanes = 3});
}

/// More rows in a lane than threads add them.
TEST(CudaCrossEntropyTest, ManyRowsAreAsOnTheCpu) {
  expect_like_cpu([] { return cross_entropy(); }, inputs(3, false), {.dtypes = {Dtype::f32}, .rows = 611, .lanes = 2});
}

TEST(CudaCrossEntropyTest, LargeLogitsAndNansAreAsOnTheCpu) {
  LikeCpu how{.dtypes = {Dtype::f32}, .rows = 3, .lanes = 2};
  how.prepare = [](LayerCase& c) { c.set_input(0, {1000.0, -1000.0, 90.0, 88.0, -1e30, 1e30, 0.0, 0.0, 0.0}); };
  expect_like_cpu([] { return cross_entropy(0.1); }, inputs(3, false), how);
  LayerCase c(cross_entropy(), inputs(3, false), &cuda_backend());
  c.rows = 2, c.lanes = 1;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  c.set_input(0, {nan, 1.0, 2.0, 0.0, 0.0, 0.0});
  c.run_forward();
  c.run_backward();
  EXPECT_TRUE(std::isnan(c.statistic(0)[0]));
  EXPECT_TRUE(std::isnan(c.input_gradient(0)[2]));
  EXPECT_FALSE(std::isnan(c.input_gradient(0)[3]));
}

TEST(CudaCrossEntropyTest, ABadLabelIsNotedAndAddsNothing) {
  for (const double bad : {3.0, -1.0}) {
    LayerCase c(cross_entropy(0.1), inputs(3, false), &cuda_backend());
    c.rows = 5, c.lanes = 2, c.first_row = 40;
    c.set_input(1, {0, bad, 1, bad, 2});
    c.run_forward();
    EXPECT_EQ(c.fault(), 1 + 40 + 3);
    EXPECT_EQ(c.statistic(0)[1], 3.0);
    c.run_backward();
    for (std::size_t i = 0; i < 15; ++i)
      if (i / 3 == 1 || i / 3 == 3)
        EXPECT_EQ(c.input_gradient(0)[i], 0.0);
      else
        EXPECT_NE(c.input_gradient(0)[i], 0.0);
    LayerCase good(cross_entropy(0.1), inputs(3, false), &cuda_backend());
    good.rows = 3, good.lanes = 1;
    const std::vector<double> x = c.input(0);
    std::vector<double> kept;
    for (const std::size_t row : {0, 2, 4})
      kept.insert(kept.end(), x.begin() + static_cast<long>(3 * row), x.begin() + static_cast<long>(3 * row + 3));
    good.set_input(0, kept);
    good.set_input(1, {0, 1, 2});
    good.run_forward();
    EXPECT_NEAR(c.statistic(0)[0], good.statistic(0)[0], 1e-12);
    EXPECT_EQ(good.fault(), 0);
  }
}

}  // namespace
}  // namespace lockstep::test
