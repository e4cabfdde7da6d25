#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/support/error_text.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {

/// The numbers of tests/golden/pooling.py.
inline std::vector<double> pooling_ramp(std::size_t count, std::size_t shift) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = (static_cast<double>((i * 7 + shift) % 11) - 5) / 8;
  return values;
}

/// Forward, evaluation and backward on those numbers.
inline void compare_pooling(std::unique_ptr<Layer> layer, Shape input, std::int64_t rows, const std::vector<double>& y,
                            const std::vector<double>& dx, double tolerance) {
  LayerCase c(std::move(layer), {{input, Dtype::f32}});
  c.rows = rows;
  const auto count = static_cast<std::size_t>(rows * input.elements());
  c.set_input(0, pooling_ramp(count, 1));
  c.set_output_gradient(0, pooling_ramp(static_cast<std::size_t>(rows * c.spec().outputs[0].elements()), 4));
  c.run_forward();
  c.run_backward();
  ASSERT_EQ(c.output(0).size(), y.size());
  ASSERT_EQ(count, dx.size());
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(c.output(0)[i], y[i], tolerance) << "y " << i;
  for (std::size_t i = 0; i < dx.size(); ++i) EXPECT_NEAR(c.input_gradient(0)[i], dx[i], tolerance) << "dx " << i;
  const auto trained = c.output(0);
  c.run_evaluate();
  EXPECT_EQ(c.output(0), trained);
}

inline Value integer_pair(std::int64_t a, std::int64_t b) { return Value(Value::Data(Value::Array{Value::integer(a), Value::integer(b)})); }

/// What both windowed layers refuse.
inline void check_pooling_errors(const char* name) {
  const auto describe = [&](const Value::Table& options, std::vector<TensorSpec> inputs) {
    return error_text([&] { make_from<Layer>(options)->describe(inputs); });
  };
  const TensorSpec image{Shape{3, 8, 2}, Dtype::f32};
  EXPECT_EQ(describe({{name, Value::integer(4)}}, {image}), "expected an image of at least [4, 4] for padding \"valid\", got [3, 8, 2]");
  EXPECT_EQ(describe({{name, Value::integer(4)}, {"padding", Value::text("same")}}, {image}), "no error");
  EXPECT_EQ(describe({{name, Value::integer(2)}}, {{Shape{9}, Dtype::f32}}), "expected [h, w, c], got [9]");
  EXPECT_EQ(describe({{name, Value::integer(2)}}, {{Shape{3, 3, 1}, Dtype::u8}}), "expected f32, bf16 or f16, got u8");
  EXPECT_EQ(describe({{name, Value::integer(2)}}, {image, image}), "expected one input [h, w, c], got 2 inputs");
  const std::string owner = std::string("layer \"") + name + "\": ";
  EXPECT_EQ(describe({{name, Value::integer(0)}}, {image}), owner + "\"" + name + "\": expected at least 1, got 0");
  EXPECT_EQ(describe({{name, Value::integer(2)}, {"padding", Value::text("full")}}, {image}),
            owner + "\"padding\": unknown value \"full\"; known: same, valid");
}

}  // namespace lockstep::test
