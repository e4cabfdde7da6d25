#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

struct Case {
  std::int64_t h, w, in, filters, kh, kw, sh, sw, groups, rows;
  bool same, bias;
};

std::unique_ptr<Layer> make_layer(const Case& c) {
  const auto pair = [](std::int64_t a, std::int64_t b) { return Value(Value::Array{Value::integer(a), Value::integer(b)}); };
  return make_from<Layer>({{"conv2d", Value::integer(c.filters)},
                           {"size", pair(c.kh, c.kw)},
                           {"stride", pair(c.sh, c.sw)},
                           {"padding", Value::text(c.same ? "same" : "valid")},
                           {"groups", Value::integer(c.groups)},
                           {"bias", Value::boolean(c.bias)}});
}

/// Calls `visit(x index, y index, weight index)` for every product of the convolution.
void each_product(const Case& c, std::int64_t oh, std::int64_t ow,
                  const std::function<void(std::size_t, std::size_t, std::size_t)>& visit) {
  const std::int64_t top = c.same ? (c.kh - 1) / 2 : 0, left = c.same ? (c.kw - 1) / 2 : 0, depth = c.in / c.groups,
                     share = c.filters / c.groups;
  for (std::int64_t n = 0; n < c.rows; ++n)
    for (std::int64_t y = 0; y < oh; ++y)
      for (std::int64_t x = 0; x < ow; ++x)
        for (std::int64_t o = 0; o < c.filters; ++o)
          for (std::int64_t i = 0; i < depth; ++i)
            for (std::int64_t a = 0; a < c.kh; ++a)
              for (std::int64_t b = 0; b < c.kw; ++b) {
                const std::int64_t iy = y * c.sh + a - top, ix = x * c.sw + b - left;
                if (iy < 0 || iy >= c.h || ix < 0 || ix >= c.w) continue;
                visit(static_cast<std::size_t>(((n * c.h + iy) * c.w + ix) * c.in + o / share * depth + i),
                      static_cast<std::size_t>(((n * oh + y) * ow + x) * c.filters + o),
                      static_cast<std::size_t>(((o * depth + i) * c.kh + a) * c.kw + b));
              }
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double scale = 1;
  for (const double v : expected) scale = std::max(scale, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 3e-6 * scale) << what << " at " << i;
}

void compare_with_loops(const Case& c) {
  SCOPED_TRACE(testing::Message() << c.h << "x" << c.w << "x" << c.in << " -> " << c.filters << " size " << c.kh << "x" << c.kw
                                  << " stride " << c.sh << "x" << c.sw << " groups " << c.groups << " rows " << c.rows
                                  << (c.same ? " same" : " valid"));
  LayerCase layer(make_layer(c), {{Shape{c.h, c.w, c.in}, Dtype::f32}});
  layer.rows = c.rows;
  layer.lanes = 2;
  const Shape out = layer.spec().outputs[0].shape;
  ASSERT_EQ(out[0], c.same ? (c.h + c.sh - 1) / c.sh : (c.h - c.kh) / c.sh + 1);
  layer.run_forward();
  layer.run_backward();
  const auto x = layer.input(0), w = layer.parameter(0), dy = layer.output_gradient(0);
  std::vector<double> y(dy.size(), 0.0), dx(x.size(), 0.0), dw(w.size(), 0.0), db(static_cast<std::size_t>(c.filters), 0.0);
  for (std::size_t i = 0; i < y.size(); ++i) db[i % db.size()] += dy[i];
  for (std::size_t i = 0; c.bias && i < y.size(); ++i) y[i] = layer.parameter(1)[i % db.size()];
  each_product(c, out[0], out[1], [&](std::size_t xi, std::size_t yi, std::size_t wi) {
    y[yi] += x[xi] * w[wi];
    dx[xi] += dy[yi] * w[wi];
    dw[wi] += dy[yi] * x[xi];
  });
  expect_near(layer.output(0), y, "output");
  expect_near(layer.input_gradient(0), dx, "input gradient");
  expect_near(layer.parameter_gradient(0), dw, "weight gradient");
  if (c.bias) expect_near(layer.parameter_gradient(1), db, "bias gradient");
}

TEST(Conv2dTest, AgreesWithPlainLoops) {
  const Case cases[] = {
      {7, 5, 3, 5, 3, 3, 1, 1, 1, 3, true, true},     {8, 8, 16, 32, 3, 3, 2, 2, 1, 4, true, false},
      {9, 7, 16, 16, 1, 1, 2, 2, 1, 5, true, true},   {28, 28, 1, 8, 3, 3, 2, 2, 1, 2, true, false},
      {6, 6, 17, 19, 3, 3, 1, 1, 1, 3, false, true},  {6, 9, 8, 8, 2, 4, 1, 1, 1, 2, true, true},
      {6, 9, 8, 12, 2, 4, 2, 3, 1, 2, true, true},    {5, 5, 4, 8, 5, 5, 1, 1, 1, 1, false, false},
      {8, 8, 16, 32, 3, 3, 1, 1, 2, 3, true, true},   {7, 7, 12, 12, 3, 3, 2, 2, 12, 3, true, true},
      {7, 7, 64, 64, 3, 3, 1, 1, 64, 2, true, false}, {6, 6, 6, 9, 3, 3, 1, 1, 3, 2, true, true},
      {3, 3, 2, 2, 7, 7, 1, 1, 1, 2, true, true},     {1, 1, 5, 3, 1, 1, 1, 1, 1, 7, true, true},
      {4, 4, 128, 64, 3, 3, 1, 1, 1, 2, true, false},
  };
  for (const Case& c : cases) compare_with_loops(c);
}

TEST(Conv2dTest, PassesTheChecksOfEveryLayer) {
  LayerCase odd(make_layer({5, 6, 3, 5, 3, 3, 2, 1, 1, 0, true, true}), {{Shape{5, 6, 3}, Dtype::f32}});
  odd.check_all();
  LayerCase grouped(make_layer({4, 4, 8, 16, 3, 3, 1, 1, 4, 0, true, false}), {{Shape{4, 4, 8}, Dtype::f32}});
  grouped.rows = 5;
  grouped.lanes = 4;
  grouped.check_all();
  // From pixel to pixel: the one whose input gradient may be added to what is there.
  LayerCase by_pixel(make_layer({5, 4, 6, 8, 1, 1, 1, 1, 1, 0, true, true}), {{Shape{5, 4, 6}, Dtype::f32}});
  by_pixel.rows = 5;
  by_pixel.lanes = 2;
  by_pixel.check_all();
}

TEST(Conv2dTest, AnInputGradientIsAddedInBf16Too) {
  LayerCase by_pixel(make_layer({5, 4, 6, 8, 1, 1, 1, 1, 1, 0, true, true}), {{Shape{5, 4, 6}, Dtype::bf16}});
  by_pixel.rows = 5;
  by_pixel.lanes = 2;
  by_pixel.check_write_modes();
}

std::vector<double> ramp(std::size_t n, std::size_t shift) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = (static_cast<double>((i * 7 + shift) % 11) - 5) / 8;
  return values;
}

void set_ramps(LayerCase& layer) {
  const auto elements = [](const TensorSpec& spec) { return static_cast<std::size_t>(spec.elements()); };
  const auto rows = static_cast<std::size_t>(layer.rows);
  layer.set_input(0, ramp(rows * elements(layer.input_specs()[0]), 1));
  layer.set_parameter(0, ramp(static_cast<std::size_t>(layer.spec().parameters[0].shape.elements()), 2));
  layer.set_parameter(1, ramp(static_cast<std::size_t>(layer.spec().parameters[1].shape.elements()), 3));
  layer.set_output_gradient(0, ramp(rows * elements(layer.spec().outputs[0]), 4));
}

// Golden values: PyTorch 2.15.0, tests/golden/convolutions.py.
TEST(Conv2dTest, StridedSameEqualsPyTorch) {
  LayerCase layer(make_layer({3, 4, 2, 2, 3, 3, 2, 2, 1, 2, true, true}), {{Shape{3, 4, 2}, Dtype::f32}});
  layer.rows = 2;
  set_ramps(layer);
  layer.run_forward();
  layer.run_backward();
  expect_near(layer.output(0),
              {0.046875, 1.34375, -0.625, 0.546875, -0.109375, 0.78125, -0.671875, 0.0625, -0.15625, 0.265625, -1.265625, 0.828125,
               -0.28125, 1.109375, -1.09375, 1.078125},
              "output");
  expect_near(
      layer.input_gradient(0),
      {0.1875, -0.390625, -0.453125, 0.171875, 0.1875,    -0.15625,  -0.15625,  -0.15625,  0.5625,    -0.296875, -0.015625, -0.234375,
       -0.125, -0.515625, 0.15625,   0.109375, 0.1875,    0.078125,  0.234375,  -0.609375, -0.328125, 0.3125,    0.296875,  0.25,
       0.1875, -0.3125,   -0.453125, 0.15625,  0.1875,    -0.078125, -0.109375, -0.203125, -0.125,    -0.484375, -0.015625, 0.25,
       -0.125, -0.53125,  0.25,      0.015625, -0.328125, 0.15625,   0.40625,   0.0625,    -0.328125, 0.390625,  0.34375,   0.203125},
      "input gradient");
  expect_near(layer.parameter_gradient(0),
              {-0.09375,  -0.21875, 0.0625,   -0.109375, 0.0625,  0.015625, 0.140625, -0.09375, -0.25,    0.21875,  0.609375, -0.484375,
               -0.109375, 0.46875,  0.078125, -0.171875, 0,       0.359375, 0.234375, -0.25,    -0.375,   0.375,    0.171875, -0.34375,
               -0.046875, 0.21875,  0,        -0.328125, 0.03125, 0.421875, 0,        0.34375,  0.171875, 0.140625, -0.0625,  0.234375},
              "weight gradient");
  expect_near(layer.parameter_gradient(1), {-0.125, 0}, "bias gradient");
}

TEST(Conv2dTest, GroupedValidEvenSizeEqualsPyTorch) {
  LayerCase layer(make_layer({3, 3, 4, 4, 2, 2, 1, 1, 2, 1, false, true}), {{Shape{3, 3, 4}, Dtype::f32}});
  layer.rows = 1;
  set_ramps(layer);
  layer.run_forward();
  layer.run_backward();
  expect_near(layer.output(0),
              {0.59375, 1.53125, -1.09375, -0.8125, -1.328125, -0.328125, 0.546875, -0.140625, -0.53125, 0.421875, 0.734375, -0.171875,
               0.125, 1.140625, -0.203125, -0.1875},
              "output");
  expect_near(layer.input_gradient(0), {0.203125,  -0.359375, -0.03125,  0.3125,   -0.71875, 0.3125,    0.015625, -0.578125, 0.390625,
                                        -0.078125, -0.015625, 0.078125,  0.046875, 0.140625, -0.078125, 0.28125,  0.171875,  -0.828125,
                                        -0.078125, -0.546875, -0.515625, 0.28125,  -0.125,   0.25,      -0.0625,  0.25,      0.046875,
                                        -0.109375, 0.21875,   0.078125,  0.09375,  0.046875, 0.21875,   -0.0625,  -0.015625, 0.265625},
              "input gradient");
  expect_near(layer.parameter_gradient(0),
              {0.375,     -0.578125, -0.59375, 0.34375,   -0.59375,  0.34375,  0.328125,  0.234375,  0.09375,   0.046875,  -0.046875,
               -0.09375,  -0.046875, -0.09375, 0.5,       -0.578125, -0.53125, 0.328125,  -0.015625, -0.015625, -0.015625, -0.015625,
               -0.015625, -0.015625, 0.5,      -0.484375, -0.046875, 0,        -0.046875, 0,         0.09375,   0.140625},
              "weight gradient");
  expect_near(layer.parameter_gradient(1), {-0.125, -0.75, 0, 0.75}, "bias gradient");
}

TEST(Conv2dTest, ParametersHaveTorchShapesAndFans) {
  const auto spec =
      make_layer({8, 8, 6, 9, 3, 5, 1, 1, 3, 0, true, true})->describe(std::vector<TensorSpec>{{Shape{8, 8, 6}, Dtype::bf16}});
  EXPECT_EQ(spec.outputs[0], (TensorSpec{Shape{8, 8, 9}, Dtype::bf16}));
  EXPECT_EQ(spec.parameters[0].shape, (Shape{9, 2, 3, 5}));
  EXPECT_EQ(spec.parameters[0].fan_in, 30);
  EXPECT_EQ(spec.parameters[0].fan_out, 45);
  EXPECT_EQ(spec.parameters[0].initializer.describe(), "\"he_normal\"");
  EXPECT_EQ(spec.parameters[1].shape, (Shape{9}));
  EXPECT_EQ(spec.parameters[1].kind, ParameterKind::bias);
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    return error.what();
  }
  return "no error";
}

TEST(Conv2dTest, RefusesWhatDoesNotFit) {
  const auto describe = [](const Case& c, TensorSpec input) {
    return message_of([&] { make_layer(c)->describe(std::vector<TensorSpec>{input}); });
  };
  EXPECT_EQ(describe({0, 0, 0, 8, 3, 3, 1, 1, 1, 0, true, true}, {Shape{784}, Dtype::f32}), "expected [h, w, c], got [784]");
  EXPECT_EQ(describe({0, 0, 0, 8, 3, 3, 1, 1, 1, 0, true, true}, {Shape{4, 4, 1}, Dtype::i64}), "expected f32, bf16 or f16, got i64");
  EXPECT_EQ(describe({0, 0, 0, 8, 3, 3, 1, 1, 2, 0, true, true}, {Shape{4, 4, 3}, Dtype::f32}),
            "expected channels divisible by groups, got 3 channels in 2 groups");
  EXPECT_EQ(describe({0, 0, 0, 8, 5, 3, 1, 1, 1, 0, false, true}, {Shape{4, 4, 3}, Dtype::f32}),
            "expected an image of at least [5, 3] for padding \"valid\", got [4, 4, 3]");
  EXPECT_NE(message_of([] {
              make_layer({0, 0, 0, 8, 3, 3, 1, 1, 3, 0, true, true});
            }).find("expected filters divisible by groups, got 8 filters in 3 groups"),
            std::string::npos);
  EXPECT_NE(message_of([] { make_from<Layer>({{"conv2d", Value::integer(8)}}); }).find("size"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::test
