#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

using Numbers = std::vector<double>;

std::unique_ptr<Loss> cross_entropy(double label_smoothing = 0.0) {
  return make_from<Loss>({{"cross_entropy", Value::text("target")}, {"label_smoothing", Value::real(label_smoothing)}});
}

std::vector<TensorSpec> inputs(std::int64_t k, bool weighted) {
  std::vector<TensorSpec> specs = {{{k}, Dtype::f32}, {{}, Dtype::i64}};
  if (weighted) specs.push_back({{}, Dtype::f32});
  return specs;
}

void expect_golden(double smoothing, bool weighted, double loss, const Numbers& gradient) {
  SCOPED_TRACE(testing::Message() << "label smoothing " << smoothing << ", weighted " << weighted);
  LayerCase c(cross_entropy(smoothing), inputs(4, weighted));
  c.rows = 3, c.lanes = 2;
  c.set_input(0, {1.0, -2.0, 0.5, 3.0, 0.0, 0.0, 0.0, 0.0, 20.0, -30.0, 10.0, 19.5});
  c.set_input(1, {2, 0, 3});
  if (weighted) c.set_input(2, {0.5, 2.0, 1.0});
  c.input_gradient_modes = {{2, WriteMode::skip}};
  c.run_forward();
  c.run_backward();
  EXPECT_NEAR(c.statistic(0)[0] / c.statistic(0)[1], loss, 2e-7);
  EXPECT_EQ(c.statistic(0)[1], weighted ? 3.5 : 3.0);
  for (std::size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(c.input_gradient(0)[i], gradient[i], 1e-7) << i;
}

// Golden values: PyTorch 2.15.0, tests/golden/losses.py.
TEST(CrossEntropyTest, AgreesWithPyTorch) {
  expect_golden(0.0, false, 1.68755114,
                {0.0368512459, 0.00183471595, -0.310981929, 0.272295952, -0.25, 0.0833333358, 0.0833333358, 0.0833333358, 0.20748058,
                 4.00177904e-23, 9.41960752e-06, -0.207489997});
  expect_golden(0.0, true, 1.4565202,
                {0.0157933906, 0.00078630686, -0.133277968, 0.116698273, -0.428571463, 0.142857149, 0.142857149, 0.142857149, 0.177840501,
                 3.43009659e-23, 8.07394918e-06, -0.177848577});
}

TEST(CrossEntropyTest, LabelSmoothingAgreesWithPyTorch) {
  expect_golden(0.1, false, 2.17088437,
                {0.0285179093, -0.00649861805, -0.285981894, 0.263962597, -0.224999994, 0.0749999881, 0.0749999881, 0.0749999881,
                 0.199147224, -0.00833333377, -0.00832391437, -0.182489976});
  expect_golden(0.1, true, 1.87259173,
                {0.0122219641, -0.00278512179, -0.122563697, 0.113126852, -0.385714293, 0.128571466, 0.128571466, 0.128571466, 0.170697659,
                 -0.00714285765, -0.00713478355, -0.156420007});
}

TEST(CrossEntropyTest, PassesTheChecks) {
  for (const std::int64_t k : {2, 10, 37})
    for (const bool weighted : {false, true}) {
      LayerCase c(cross_entropy(0.05), inputs(k, weighted));
      c.rows = 7, c.lanes = 5;
      c.integer_limit = k;
      c.f32_inputs = {2};
      c.input_gradient_modes = {{2, WriteMode::skip}};
      if (weighted) c.set_input(2, {0.5, 1, 0, 2, 1, 0.25, 1});
      c.check_gradients();
      c.check_repeatable();
      c.check_rows_invariance();
      c.check_write_modes();
      c.check_bf16();
    }
}

TEST(CrossEntropyTest, LossScaleMultipliesTheGradient) {
  LayerCase c(cross_entropy(), inputs(5, false));
  c.run_forward();
  c.run_backward();
  Numbers expected = c.input_gradient(0);
  for (double& g : expected) g *= 1024;
  c.step.loss_scale = 1024;
  c.run_backward();
  EXPECT_EQ(c.input_gradient(0), expected);
}

TEST(CrossEntropyTest, EvaluationIsTheForwardPass) {
  LayerCase c(cross_entropy(0.1), inputs(5, false));
  c.run_forward();
  const Numbers trained = c.statistic(0);
  c.run_evaluate();
  EXPECT_EQ(c.statistic(0), trained);
}

TEST(CrossEntropyTest, ALogitThatIsNoNumberIsNotHidden) {
  for (const std::size_t at : {0, 1, 4}) {
    LayerCase c(cross_entropy(), inputs(5, false));
    c.rows = 1, c.lanes = 1;
    Numbers z = {1, 2, 3, 4, 5};
    z[at] = std::numeric_limits<double>::quiet_NaN();
    c.set_input(0, z);
    c.run_forward();
    EXPECT_TRUE(std::isnan(c.statistic(0)[0])) << at;
  }
}

TEST(CrossEntropyTest, ALabelOutOfRangeNamesTheRow) {
  for (const double wrong : {10.0, -1.0}) {
    LayerCase c(cross_entropy(), inputs(10, false));
    c.rows = 4, c.lanes = 2;
    c.first_row = 100;
    c.name = "loss";
    c.set_input(1, {0, 9, 3, wrong});
    try {
      c.run_forward();
      FAIL() << "nothing was refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::content);
      EXPECT_EQ(std::string(error.what()),
                "loss: batch row 103: expected a label in [0, 10), got " + std::to_string(static_cast<int>(wrong)));
    }
  }
}

std::string message_of(const std::vector<TensorSpec>& specs) {
  try {
    cross_entropy()->describe(specs);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(CrossEntropyTest, RefusesOtherShapes) {
  EXPECT_EQ(message_of({{{2, 3}, Dtype::f32}, {{}, Dtype::i64}}), "expected logits [k] f32, bf16 or f16, got [2, 3] f32");
  EXPECT_EQ(message_of({{{3}, Dtype::f32}, {{3}, Dtype::f32}}), "expected labels [] i64, got [3] f32");
  EXPECT_EQ(message_of({{{3}, Dtype::f32}, {{}, Dtype::i64}, {{}, Dtype::i64}}), "expected weights [] f32, got [] i64");
  EXPECT_EQ(message_of({{{3}, Dtype::f32}}), "expected logits, labels and optional weights, got 1 inputs");
}

}  // namespace
}  // namespace lockstep::test
