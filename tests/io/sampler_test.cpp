#include "io/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace lockstep {
namespace {

TEST(SamplerTest, EachSampleComesOnceAnEpoch) {
  for (const std::int64_t samples : {1, 2, 3, 1000}) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(samples));
    std::iota(all.begin(), all.end(), 0);
    for (const std::int64_t epoch : {0, 1, 7}) {
      auto order = Sampler(samples, SampleOrder::shuffled, 5).order(epoch);
      std::sort(order.begin(), order.end());
      EXPECT_EQ(order, all);
    }
  }
}

TEST(SamplerTest, OrderDependsOnSeedAndEpochAlone) {
  const Sampler sampler(1000, SampleOrder::shuffled, 5);
  const auto first = sampler.order(3);
  EXPECT_NE(sampler.order(4), first);
  EXPECT_EQ(Sampler(1000, SampleOrder::shuffled, 5).order(3), first);
  EXPECT_NE(Sampler(1000, SampleOrder::shuffled, 6).order(3), first);
}

TEST(SamplerTest, EvaluationKeepsTheStoredOrder) {
  EXPECT_EQ(Sampler(4, SampleOrder::as_stored, 5).order(2), (std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST(SamplerTest, AllOrdersAreEquallyLikely) {
  std::map<std::vector<std::int64_t>, int> counts;
  const Sampler sampler(4, SampleOrder::shuffled, 11);
  constexpr int kEpochs = 24000;
  for (int epoch = 0; epoch < kEpochs; ++epoch) ++counts[sampler.order(epoch)];
  ASSERT_EQ(counts.size(), 24u);
  double chi_squared = 0;
  for (const auto& [order, count] : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 49.7);  // 99.9 % of chi-squared with 23 degrees of freedom
}

}  // namespace
}  // namespace lockstep
