#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "tests/support/error_text.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {

/// The arguments of tests/golden/elementwise.py.
inline const std::vector<double> kElementwiseArguments = {-100, -20,  -9.5, -3,    -0.7, -0.624, -0.01, -1e-6,
                                                          0,    1e-6, 0.2,  0.626, 1.5,  8.75,   30,    100};

/// Runs an element-wise layer on the arguments above with dy = 1 and compares. Tolerances are relative to each value.
inline void compare_elementwise(const char* name, const std::vector<double>& y, const std::vector<double>& dx, double y_tolerance,
                                double dx_tolerance) {
  const auto count = static_cast<std::int64_t>(kElementwiseArguments.size());
  LayerCase c(make_from<Layer>(name), {{Shape{count}, Dtype::f32}});
  c.rows = 1;
  c.set_input(0, kElementwiseArguments);
  c.set_output_gradient(0, std::vector<double>(kElementwiseArguments.size(), 1.0));
  c.run_forward();
  c.run_backward();
  for (std::size_t i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(c.output(0)[i], y[i], y_tolerance * std::abs(y[i]) + 1e-37) << "y at " << kElementwiseArguments[i];
    EXPECT_NEAR(c.input_gradient(0)[i], dx[i], dx_tolerance) << "dx at " << kElementwiseArguments[i];
  }
  c.run_evaluate();
  EXPECT_NEAR(c.output(0)[12], y[12], y_tolerance * std::abs(y[12]));
}

/// What every element-wise layer must do: the checks of all layers, NaN in NaN out, its errors.
inline void check_elementwise(const char* name) {
  LayerCase c(make_from<Layer>(name), {{Shape{3, 5, 7}, Dtype::f32}});
  c.check_all();
  LayerCase nan(make_from<Layer>(name), {{Shape{1}, Dtype::f32}});
  nan.rows = 1;
  nan.set_input(0, {std::nan("")});
  nan.run_forward();
  EXPECT_TRUE(std::isnan(nan.output(0)[0]));
  const TensorSpec bytes{Shape{4}, Dtype::u8};
  EXPECT_EQ(error_text([&] { make_from<Layer>(name)->describe(std::vector{bytes}); }), "expected f32, bf16 or f16, got u8");
  EXPECT_EQ(error_text([&] { make_from<Layer>(name)->describe(std::vector{bytes, bytes}); }), "expected one input, got 2");
  EXPECT_EQ(error_text([&] {
              make_from<Layer>({{name, Value::boolean(false)}});
            }),
            std::string("layer \"") + name + "\": \"" + name + "\": expected true, got false");
}

}  // namespace lockstep::test
