#include <cmath>

#include "tests/core/layers/pooling_cases.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Layer> max_pool(std::int64_t size, std::int64_t stride, const char* padding) {
  return make_from<Layer>({{"max_pool", Value::integer(size)}, {"stride", Value::integer(stride)}, {"padding", Value::text(padding)}});
}

// Golden values: PyTorch 2.15.0, tests/golden/pooling.py.
TEST(MaxPoolTest, EqualsPyTorch) {
  compare_pooling(make_from<Layer>({{"max_pool", Value::integer(2)}}), {5, 4, 2}, 1, {0, 0.5, 0.625, 0.25, 0.25, 0.625, 0.625, 0.5},
                  {0, 0, 0, 0, 0, 0, 0.25,  0, 0,      -0.625, -0.125, 0,   0, 0, 0, -0.25, 0, 0.125, 0, 0,
                   0, 0, 0, 0, 0, 0, 0.625, 0, -0.375, 0,      0,      0.5, 0, 0, 0, 0,     0, 0,     0, 0},
                  0.0);
  compare_pooling(max_pool(3, 2, "same"), {5, 4, 2}, 1, {0, 0.5, 0.625, 0.25, 0.25, 0.625, 0.625, 0.5, 0.375, -0.125, 0.625, 0.625},
                  {0, 0, 0, 0, 0, 0, 0.25,  0, 0, -0.625, -0.125, 0,   0, 0, 0, -0.25, 0, 0.125, 0, 0,
                   0, 0, 0, 0, 0, 0, 0.625, 0, 0, 0,      0,      0.5, 0, 0, 0, -0.5,  0, 0,     0, -0.125},
                  0.0);
}

// Golden values: PyTorch 2.15.0, tests/golden/pooling.py.
TEST(MaxPoolTest, TiesGoToTheFirstOfTheWindow) {
  LayerCase c(max_pool(3, 1, "same"), {{Shape{4, 4, 1}, Dtype::f32}});
  c.rows = 1;
  c.set_input(0, std::vector<double>(16, 2.0));
  c.set_output_gradient(0, std::vector<double>(16, 1.0));
  c.run_forward();
  c.run_backward();
  EXPECT_EQ(c.input_gradient(0), (std::vector<double>{4, 2, 2, 0, 2, 1, 1, 0, 2, 1, 1, 0, 0, 0, 0, 0}));
}

TEST(MaxPoolTest, PaddingNeverWinsAndNanDoes) {
  LayerCase c(max_pool(3, 2, "same"), {{Shape{3, 3, 1}, Dtype::f32}});
  c.rows = 1;
  c.set_input(0, {-1, -2, -3, -4, -5, -6, -7, -8, std::nan("")});
  c.run_forward();
  const auto y = c.output(0);
  EXPECT_EQ(y[0], -1);
  EXPECT_EQ(y[1], -2);
  EXPECT_EQ(y[2], -4);
  EXPECT_TRUE(std::isnan(y[3]));
}

TEST(MaxPoolTest, PassesTheChecksOfEveryLayer) {
  for (const char* padding : {"same", "valid"})
    for (const std::int64_t stride : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << padding << ", stride " << stride);
      LayerCase c(max_pool(2, stride, padding), {{Shape{5, 6, 3}, Dtype::f32}});
      c.rows = 3;
      c.difference = 1e-3;
      c.check_gradients();
      c.check_repeatable();
      c.check_write_modes();
      c.check_rows_invariance();
    }
}

TEST(MaxPoolTest, Bf16TakesTheSameElements) {
  LayerCase whole(max_pool(2, 2, "valid"), {{Shape{4, 4, 5}, Dtype::f32}}), half(max_pool(2, 2, "valid"), {{Shape{4, 4, 5}, Dtype::bf16}});
  for (LayerCase* c : {&whole, &half}) {
    c->rows = 2;
    c->set_input(0, pooling_ramp(160, 3));
    c->set_output_gradient(0, pooling_ramp(40, 5));
    c->run_forward();
    c->run_backward();
  }
  EXPECT_EQ(whole.output(0), half.output(0));
  EXPECT_EQ(whole.input_gradient(0), half.input_gradient(0));
}

TEST(MaxPoolTest, RefusesWhatDoesNotFit) {
  check_pooling_errors("max_pool");
  EXPECT_EQ(error_text([] {
              make_from<Layer>({{"max_pool", integer_pair(20, 13)}});
            }),
            "layer \"max_pool\": \"max_pool\": expected a window of at most 256 positions, got [20, 13]");
}

}  // namespace
}  // namespace lockstep::test
