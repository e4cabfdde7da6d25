#include <limits>

#include <gtest/gtest.h>

#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Metric> top_k(std::int64_t k) { return make_from<Metric>({{"top_k", Value::integer(k)}}); }

/// The metric of three samples over lanes of two, one and none.
double metric(std::unique_ptr<Metric> metric, const std::vector<double>& logits, const std::vector<double>& labels,
              Dtype dtype = Dtype::f32) {
  const Metric& rule = *metric;
  LayerCase c(std::move(metric), {{{4}, dtype}, {{}, Dtype::i64}});
  c.rows = 3, c.lanes = 3;
  c.set_input(0, logits);
  c.set_input(1, labels);
  c.run_evaluate();
  EXPECT_EQ(c.statistic(0)[1], 3.0);
  return rule.value(c.statistic(0));
}

const std::vector<double> kLogits = {1, 2, 4, 3, -1, -2, -3, -4, 0, 5, 5, 0};

TEST(AccuracyTest, CountsTheLargestLogit) {
  EXPECT_EQ(metric(make_from<Metric>("accuracy"), kLogits, {2, 0, 1}), 1.0);
  EXPECT_EQ(metric(make_from<Metric>("accuracy"), kLogits, {3, 0, 0}), 1.0 / 3);
  EXPECT_EQ(metric(make_from<Metric>("accuracy"), kLogits, {3, 0, 1}, Dtype::bf16), 2.0 / 3);
}

TEST(AccuracyTest, OfEqualLogitsTheFirstCounts) { EXPECT_EQ(metric(make_from<Metric>("accuracy"), kLogits, {0, 1, 2}), 0.0); }

TEST(AccuracyTest, ALogitThatIsNoNumberIsAMiss) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(metric(make_from<Metric>("accuracy"), {nan, nan, nan, nan, 1, nan, 0, 0, 0, nan, 0, 0}, {0, 0, 1}), 0.0);
}

TEST(AccuracyTest, ALabelOutOfRangeNamesTheRow) {
  try {
    metric(make_from<Metric>("accuracy"), kLogits, {2, 0, 4});
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::content);
    EXPECT_STREQ(error.what(), "layer: batch row 2: expected a label in [0, 4), got 4");
  }
}

TEST(TopKTest, CountsLabelsAmongTheKLargest) {
  EXPECT_EQ(metric(top_k(2), kLogits, {3, 1, 2}), 1.0);
  EXPECT_EQ(metric(top_k(2), kLogits, {1, 2, 0}), 0.0);
  EXPECT_EQ(metric(top_k(3), kLogits, {1, 3, 0}), 2.0 / 3);
  EXPECT_EQ(metric(top_k(4), kLogits, {0, 3, 3}), 1.0);
}

TEST(TopKTest, RefusesMoreThanThereAre) {
  try {
    top_k(5)->describe(std::vector<TensorSpec>{{{4}, Dtype::f32}, {{}, Dtype::i64}});
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "expected at least 5 logits for top_k = 5, got [4]");
  }
}

TEST(MeanAbsoluteErrorTest, IsTheMeanOverSamplesAndElements) {
  auto rule = make_from<Metric>("mean_absolute_error");
  const Metric& metric = *rule;
  EXPECT_FALSE(metric.larger_is_better());
  LayerCase c(std::move(rule), {{{2}, Dtype::f32}, {{2}, Dtype::f32}});
  c.rows = 3, c.lanes = 2;
  c.set_input(0, {1, -2, 0.5, 3, 0.25, 0.75});
  c.set_input(1, {0, 1, 0.5, 2, 1, -1});
  c.run_evaluate();
  EXPECT_DOUBLE_EQ(metric.value(c.statistic(0)), (1 + 3 + 0 + 1 + 0.75 + 1.75) / 6);
}

}  // namespace
}  // namespace lockstep::test
