#include "core/model/lane_tree.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace lockstep {
namespace {

constexpr int kMostLanes = 40;
constexpr std::int64_t kSize = 7;

std::vector<float> random_lanes(int lanes) {
  std::mt19937 generator(static_cast<unsigned>(lanes));
  std::normal_distribution<float> normal(0.0f, 1000.0f);
  std::vector<float> values(static_cast<std::size_t>(lanes * kSize));
  for (float& value : values) value = normal(generator) * std::exp2(normal(generator) / 100);
  return values;
}

/// The tree by its definition, from the top down.
std::vector<float> direct_sum(const std::vector<float>& values, int first, int size, int lanes) {
  if (size == 1) return {values.begin() + first * kSize, values.begin() + (first + 1) * kSize};
  std::vector<float> left = direct_sum(values, first, size / 2, lanes);
  if (first + size / 2 < lanes) {
    const std::vector<float> right = direct_sum(values, first + size / 2, size / 2, lanes);
    combine_add(left.data(), right.data(), kSize);
  }
  return left;
}

std::vector<float> direct_sum(const std::vector<float>& values, int lanes) {
  int size = 1;
  while (size < lanes) size *= 2;
  return direct_sum(values, 0, size, lanes);
}

/// Nodes and their sums, folded as they arrive.
struct Folded {
  std::vector<LaneSpan> nodes;
  std::vector<float> sums;
};

Folded fold_nodes(const Folded& from, int lanes) {
  FoldStack stack(lanes);
  Folded result;
  result.sums.resize(from.sums.size());
  for (std::size_t i = 0; i < from.nodes.size(); ++i) {
    const FoldStack::Step step = stack.push(from.nodes[i]);
    float* slot = result.sums.data() + step.slot * kSize;
    std::copy_n(from.sums.begin() + static_cast<std::int64_t>(i) * kSize, kSize, slot);
    for (int m = 1; m <= step.merges; ++m) combine_add(slot - m * kSize, slot - (m - 1) * kSize, kSize);
  }
  result.nodes = stack.nodes();
  result.sums.resize(result.nodes.size() * kSize);
  return result;
}

Folded leaves(const std::vector<float>& values, LaneSpan span) {
  Folded result;
  for (int lane = span.first; lane < span.last; ++lane) result.nodes.push_back({lane, lane + 1});
  result.sums.assign(values.begin() + span.first * kSize, values.begin() + span.last * kSize);
  return result;
}

void append(Folded& into, const Folded& more) {
  into.nodes.insert(into.nodes.end(), more.nodes.begin(), more.nodes.end());
  into.sums.insert(into.sums.end(), more.sums.begin(), more.sums.end());
}

TEST(LaneTreeTest, EverySplitOverRanksAndThreadsGivesTheBitsOfTheDirectTree) {
  for (int lanes = 1; lanes <= kMostLanes; ++lanes) {
    const std::vector<float> values = random_lanes(lanes), expected = direct_sum(values, lanes);
    for (int ranks = 1; ranks <= lanes; ++ranks)
      for (int threads : {1, 2, 3, 5}) {
        Folded all;
        for (int rank = 0; rank < ranks; ++rank) {
          const LaneSpan mine = lanes_of_rank(lanes, rank, ranks);
          Folded local;
          for (int t = 0; t < threads; ++t)
            append(local,
                   fold_nodes(leaves(values, {mine.first + mine.count() * t / threads, mine.first + mine.count() * (t + 1) / threads}),
                              lanes));
          local = fold_nodes(local, lanes);
          EXPECT_EQ(local.nodes, cover(mine, lanes))
              << lanes << " lanes, rank " << rank << " of " << ranks << ", " << threads << " threads";
          append(all, local);
        }
        const Folded total = fold_nodes(all, lanes);
        ASSERT_EQ(total.nodes.size(), 1u);
        ASSERT_EQ(0, std::memcmp(total.sums.data(), expected.data(), kSize * sizeof(float)))
            << lanes << " lanes on " << ranks << " ranks, " << threads << " threads";
      }
  }
}

TEST(LaneTreeTest, TheOrderOfTheTreeIsNotTheOrderOfTheLanes) {
  const std::vector<float> values = random_lanes(16), tree = direct_sum(values, 16);
  std::vector<float> sequential(kSize, 0.0f);
  for (int lane = 0; lane < 16; ++lane) combine_add(sequential.data(), values.data() + lane * kSize, kSize);
  EXPECT_NE(0, std::memcmp(tree.data(), sequential.data(), kSize * sizeof(float)));
}

TEST(LaneTreeTest, RanksShareAllLanesWithoutGaps) {
  for (int lanes = 1; lanes <= kMostLanes; ++lanes)
    for (int ranks = 1; ranks <= lanes; ++ranks) {
      int at = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const LaneSpan span = lanes_of_rank(lanes, rank, ranks);
        EXPECT_EQ(span.first, at);
        EXPECT_GE(span.count(), 1);
        at = span.last;
      }
      EXPECT_EQ(at, lanes);
    }
}

TEST(LaneTreeTest, AlignedRanksNeedOneNode) {
  for (int ranks : {1, 2, 4, 8, 16})
    for (int rank = 0; rank < ranks; ++rank) EXPECT_EQ(cover(lanes_of_rank(16, rank, ranks), 16).size(), 1u);
  EXPECT_EQ(cover({5, 10}, 16), (std::vector<LaneSpan>{{5, 6}, {6, 8}, {8, 10}}));
  EXPECT_EQ(cover({4, 7}, 7), (std::vector<LaneSpan>{{4, 7}}));
  EXPECT_TRUE(cover({3, 3}, 7).empty());
}

TEST(LaneTreeTest, OnlyChildrenOfOneNodeAreSiblings) {
  EXPECT_TRUE(are_siblings({0, 1}, {1, 2}, 8));
  EXPECT_FALSE(are_siblings({1, 2}, {2, 3}, 8));
  EXPECT_TRUE(are_siblings({4, 6}, {6, 7}, 7));
  EXPECT_FALSE(are_siblings({4, 6}, {6, 7}, 8));
  EXPECT_TRUE(are_siblings({0, 4}, {4, 5}, 5));
  EXPECT_FALSE(are_siblings({0, 3}, {3, 4}, 4));
  EXPECT_FALSE(are_siblings({0, 1}, {2, 3}, 8));
}

TEST(LaneTreeTest, SlotsIsTheExactNumberThatAFoldTouches) {
  for (int lanes = 1; lanes <= kMostLanes; ++lanes)
    for (int first = 0; first < lanes; ++first)
      for (int last = first + 1; last <= lanes; ++last) {
        FoldStack stack(lanes);
        int touched = 0;
        for (int lane = first; lane < last; ++lane) touched = std::max(touched, stack.push({lane, lane + 1}).slot + 1);
        ASSERT_EQ(FoldStack::slots({first, last}, lanes), touched);
      }
  EXPECT_EQ(FoldStack::slots({0, 16}, 16), 5);
  EXPECT_EQ(FoldStack::slots({0, 1}, 16), 1);
  EXPECT_EQ(FoldStack::slots({0, 0}, 16), 0);
}

TEST(LaneTreeTest, FoldOfMomentsGivesMeanAndSquaredDeviationsOfAllSamples) {
  const std::vector<double> samples{1, 4, 9, 16, 25, 36};
  double mean = 0, m2 = 0;
  for (double x : samples) mean += x / 6;
  for (double x : samples) m2 += (x - mean) * (x - mean);
  std::vector<double> values;
  std::vector<LaneSpan> nodes;
  for (int lane = 0; lane < 6; ++lane) {
    nodes.push_back({lane, lane + 1});
    values.insert(values.end(), {1.0, samples[static_cast<std::size_t>(lane)], 0.0});
  }
  fold(ReduceKind::moments, nodes, 6, values.data(), 3);
  EXPECT_EQ(values[0], 6.0);
  EXPECT_NEAR(values[1], mean, 1e-12);
  EXPECT_NEAR(values[2], m2, 1e-10);
}

TEST(LaneTreeTest, AnEmptySideOfMomentsLeavesTheOtherUntouched) {
  const std::vector<double> full{3, 0.1, -0.2, 1e-300, 7}, empty(5, 0.0);
  std::vector<double> left = full, right = empty;
  combine(ReduceKind::moments, left.data(), empty.data(), 5);
  combine(ReduceKind::moments, right.data(), full.data(), 5);
  EXPECT_EQ(left, full);
  EXPECT_EQ(right, full);
}

TEST(LaneTreeTest, FoldRefusesNodesThatDoNotCoverTheLanes) {
  std::vector<double> values(4, 1.0);
  const std::vector<LaneSpan> nodes{{0, 1}, {2, 3}};
  EXPECT_THROW(fold(ReduceKind::add, nodes, 4, values.data(), 1), Error);
}

}  // namespace
}  // namespace lockstep
