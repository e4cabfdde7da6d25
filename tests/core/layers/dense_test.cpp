#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Layer> make_layer(std::int64_t units, bool bias) {
  return make_from<Layer>({{"dense", Value::integer(units)}, {"bias", Value::boolean(bias)}});
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double scale = 1;
  for (const double v : expected) scale = std::max(scale, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 3e-6 * scale) << what << " at " << i;
}

void compare_with_loops(std::int64_t in, std::int64_t units, std::int64_t rows, bool bias) {
  SCOPED_TRACE(testing::Message() << in << " -> " << units << ", " << rows << " rows");
  LayerCase layer(make_layer(units, bias), {{Shape{in}, Dtype::f32}});
  layer.rows = rows;
  layer.run_forward();
  layer.run_backward();
  const auto x = layer.input(0), w = layer.parameter(0), dy = layer.output_gradient(0);
  const auto n = static_cast<std::size_t>(in), m = static_cast<std::size_t>(units);
  std::vector<double> y(dy.size(), 0.0), dx(x.size(), 0.0), dw(w.size(), 0.0), db(m, 0.0);
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r)
    for (std::size_t o = 0; o < m; ++o) {
      y[r * m + o] = bias ? layer.parameter(1)[o] : 0;
      db[o] += dy[r * m + o];
      for (std::size_t i = 0; i < n; ++i) {
        y[r * m + o] += x[r * n + i] * w[o * n + i];
        dx[r * n + i] += dy[r * m + o] * w[o * n + i];
        dw[o * n + i] += dy[r * m + o] * x[r * n + i];
      }
    }
  expect_near(layer.output(0), y, "output");
  expect_near(layer.input_gradient(0), dx, "input gradient");
  expect_near(layer.parameter_gradient(0), dw, "weight gradient");
  if (bias) expect_near(layer.parameter_gradient(1), db, "bias gradient");
}

TEST(DenseTest, AgreesWithPlainLoops) {
  compare_with_loops(784, 30, 5, true);
  compare_with_loops(128, 10, 16, true);
  compare_with_loops(3, 2, 1, false);
  compare_with_loops(1, 1, 2, true);
  compare_with_loops(33, 65, 7, false);
  compare_with_loops(256, 128, 32, true);
}

TEST(DenseTest, PassesTheChecksOfEveryLayer) {
  LayerCase small(make_layer(5, true), {{Shape{7}, Dtype::f32}});
  small.check_all();
  LayerCase wide(make_layer(32, false), {{Shape{64}, Dtype::f32}});
  wide.rows = 9;
  wide.lanes = 4;
  wide.check_all();
}

// Golden values: PyTorch 2.15.0, tests/golden/convolutions.py.
TEST(DenseTest, EqualsPyTorch) {
  const auto ramp = [](std::size_t n, std::size_t shift) {
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = (static_cast<double>((i * 7 + shift) % 11) - 5) / 8;
    return values;
  };
  LayerCase layer(make_layer(2, true), {{Shape{3}, Dtype::f32}});
  layer.rows = 2;
  layer.set_input(0, ramp(6, 1));
  layer.set_parameter(0, ramp(6, 2));
  layer.set_parameter(1, ramp(2, 3));
  layer.set_output_gradient(0, ramp(4, 4));
  layer.run_forward();
  layer.run_backward();
  expect_near(layer.output(0), {0.125, 1.03125, 0.109375, 1.0625}, "output");
  expect_near(layer.input_gradient(0), {0.359375, -0.296875, 0.078125, 0.03125, 0.03125, 0.03125}, "input gradient");
  expect_near(layer.parameter_gradient(0), {-0.09375, 0.015625, -0.046875, 0.46875, -0.296875, 0.140625}, "weight gradient");
  expect_near(layer.parameter_gradient(1), {0.125, -0.875}, "bias gradient");
}

TEST(DenseTest, RefusesWhatDoesNotFit) {
  const auto describe = [](TensorSpec input) -> std::string {
    try {
      make_layer(4, true)->describe(std::vector<TensorSpec>{input});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(describe({Shape{4, 4, 8}, Dtype::f32}), "expected [n], got [4, 4, 8]; put \"flatten\" before it");
  EXPECT_EQ(describe({Shape{4}, Dtype::u8}), "expected f32, bf16 or f16, got u8");
}

}  // namespace
}  // namespace lockstep::test
