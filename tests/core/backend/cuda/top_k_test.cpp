#include <limits>

#include <gtest/gtest.h>

#include "tests/support/device_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<const Layer> top_k(std::int64_t k) { return make_from<Metric>({{"top_k", Value::integer(k)}}); }

std::vector<TensorSpec> inputs(std::int64_t classes) { return {{{classes}, Dtype::f32}, {{}, Dtype::i64}}; }

/// Rounded to few values, so that many logits are equal.
void few_values(LayerCase& c) {
  std::vector<double> x = c.input(0);
  for (double& v : x) v = static_cast<double>(static_cast<int>(v * 3));
  c.set_input(0, x);
}

TEST(CudaTopKTest, HitsAreAsOnTheCpu) {
  for (const std::int64_t classes : {1, 5, 33, 200})
    for (const std::int64_t k : {1, 5}) {
      if (k > classes) continue;
      SCOPED_TRACE(testing::Message() << classes << " classes, k " << k);
      LikeCpu how{.rows = 23, .lanes = 5, .integer_limit = classes, .f32_tolerance = 0, .bf16_tolerance = 0, .f16_tolerance = 0};
      expect_like_cpu([&] { return top_k(k); }, inputs(classes), how);
      how.prepare = few_values;
      expect_like_cpu([&] { return top_k(k); }, inputs(classes), how);
    }
  expect_like_cpu([] { return make_from<Metric>("accuracy"); }, inputs(10), {.rows = 9, .integer_limit = 10});
}

TEST(CudaTopKTest, ALogitThatIsNoNumberMakesAMiss) {
  for (const std::int64_t k : {2, 3}) {
    LayerCase c(top_k(k), inputs(3), &cuda_backend());
    c.rows = 3, c.lanes = 1;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    c.set_input(0, {nan, 0.0, 0.0, nan, 5.0, 1.0, nan, nan, 9.0});
    c.set_input(1, {0, 1, 2});
    c.run_evaluate();
    EXPECT_EQ(c.statistic(0), (std::vector<double>{k == 2 ? 1.0 : 2.0, 3.0}));
  }
}

TEST(CudaTopKTest, ABadLabelIsNotedAndCountsNothing) {
  LayerCase c(top_k(3), inputs(3), &cuda_backend());
  c.rows = 4, c.lanes = 2, c.first_row = 100;
  c.set_input(1, {3, 0, -1, 2});
  c.run_evaluate();
  EXPECT_EQ(c.statistic(0), (std::vector<double>{2.0, 2.0}));
  EXPECT_EQ(c.fault(), 1 + 100 + 2);
}

}  // namespace
}  // namespace lockstep::test
