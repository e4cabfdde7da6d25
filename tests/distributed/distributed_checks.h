#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/train/program.h"
#include "distributed/allreduce_gradient_synchronizer.h"
#include "distributed/communicator.h"
#include "distributed/fast_statistics_reducer.h"
#include "distributed/tree_gradient_synchronizer.h"
#include "distributed/tree_statistics_reducer.h"

/// What must hold on any communicator: called by every rank, on threads and under mpirun.
namespace lockstep::testing {

inline std::vector<std::byte> pattern(int from, int to, std::size_t bytes) {
  std::vector<std::byte> result(bytes);
  for (std::size_t i = 0; i < bytes; ++i) result[i] = static_cast<std::byte>(from * 31 + to * 7 + static_cast<int>(i % 251));
  return result;
}

inline void check_broadcast_and_gather(Communicator& world) {
  const int rank = world.rank(), size = world.size();
  for (int root = 0; root < size; ++root) {
    std::vector<std::byte> data = pattern(rank, 0, 1000);
    world.broadcast(data.data(), data.size(), root);
    EXPECT_EQ(data, pattern(root, 0, 1000));
  }
  std::vector<std::size_t> bytes;
  std::vector<std::byte> expected;
  for (int r = 0; r < size; ++r) {
    bytes.push_back(static_cast<std::size_t>(r * 300));
    const auto part = pattern(r, 1, bytes.back());
    expected.insert(expected.end(), part.begin(), part.end());
  }
  const auto mine = pattern(rank, 1, static_cast<std::size_t>(rank * 300));
  std::vector<std::byte> all(expected.size());
  world.all_gather(mine.data(), all.data(), bytes);
  EXPECT_EQ(all, expected);
  std::vector<std::byte> in_place(expected.size());
  const std::size_t at = static_cast<std::size_t>(rank * (rank - 1) / 2 * 300);
  std::copy(mine.begin(), mine.end(), in_place.begin() + static_cast<std::int64_t>(at));
  world.all_gather(in_place.data() + at, in_place.data(), bytes);
  EXPECT_EQ(in_place, expected);
}

inline void check_all_to_all(Communicator& world) {
  const int rank = world.rank(), size = world.size();
  const auto bytes_between = [](int from, int to) { return static_cast<std::size_t>(from * 100 + to * 250); };
  std::vector<std::size_t> sends, receives;
  std::vector<std::byte> out, expected;
  for (int r = 0; r < size; ++r) {
    sends.push_back(bytes_between(rank, r));
    receives.push_back(bytes_between(r, rank));
    const auto sent = pattern(rank, r, sends.back()), received = pattern(r, rank, receives.back());
    out.insert(out.end(), sent.begin(), sent.end());
    expected.insert(expected.end(), received.begin(), received.end());
  }
  std::vector<std::byte> in(expected.size());
  world.all_to_all(out.data(), sends, in.data(), receives);
  EXPECT_EQ(in, expected);
}

inline void check_sums_groups_and_texts(Communicator& world) {
  const int rank = world.rank(), size = world.size();
  std::vector<float> floats(100, static_cast<float>(rank + 1));
  std::vector<double> doubles(100, 0.5 * rank);
  world.all_reduce_sum(floats.data(), 100);
  world.all_reduce_sum(doubles.data(), 100);
  EXPECT_EQ(floats, std::vector<float>(100, static_cast<float>(size * (size + 1) / 2)));
  EXPECT_EQ(doubles, std::vector<double>(100, 0.25 * size * (size - 1)));

  const auto group = world.split(rank % 2);
  EXPECT_EQ(group->rank(), rank / 2);
  EXPECT_EQ(group->size(), (size + 1 - rank % 2) / 2);
  double members = 1;
  group->all_reduce_sum(&members, 1);
  EXPECT_EQ(members, group->size());
  group->close();

  const std::vector<std::string> texts = all_gather_text(world, std::string(static_cast<std::size_t>(rank), 'x') + "!");
  for (int r = 0; r < size; ++r) EXPECT_EQ(texts[static_cast<std::size_t>(r)], std::string(static_cast<std::size_t>(r), 'x') + "!");
  EXPECT_EQ(broadcast_text(world, rank == size - 1 ? "the last" : "", size - 1), "the last");
  world.barrier();
}

struct StatisticsCase {
  ReduceKind kind;
  std::int64_t size;
  int group_lanes;
};

inline std::vector<double> lane_statistics(const StatisticsCase& item, int lanes) {
  std::mt19937 random(static_cast<unsigned>(lanes + item.size));
  std::normal_distribution<double> normal(0.0, 1000.0);
  std::vector<double> values;
  for (int lane = 0; lane < lanes; ++lane) {
    const bool empty = lanes > 2 && lane >= lanes - 2;  // a short last batch
    for (std::int64_t i = 0; i < item.size; ++i) {
      const double value = item.kind == ReduceKind::moments && i == 0 ? 3 + lane % 3
                           : item.kind == ReduceKind::moments         ? std::abs(normal(random))
                                                                      : normal(random);
      values.push_back(empty ? 0.0 : value);
    }
  }
  return values;
}

inline std::vector<double> expected_statistics(const StatisticsCase& item, const std::vector<double>& lanes_values, int lanes) {
  std::vector<double> result;
  const int group = item.group_lanes > 0 ? item.group_lanes : lanes;
  for (int first = 0; first < lanes; first += group) {
    const int count = std::min(group, lanes - first);
    std::vector<LaneSpan> nodes;
    for (int lane = 0; lane < count; ++lane) nodes.push_back({lane, lane + 1});
    std::vector<double> values(lanes_values.begin() + first * item.size, lanes_values.begin() + (first + count) * item.size);
    fold(item.kind, nodes, count, values.data(), item.size);
    result.insert(result.end(), values.begin(), values.begin() + item.size);
  }
  return result;
}

/// In `exact` mode bits are compared with those of one rank.
inline void check_statistics(Communicator& world, int lanes, RunMode mode) {
  const std::vector<StatisticsCase> cases{{ReduceKind::add, 3, 0},
                                          {ReduceKind::moments, 9, 3},
                                          {ReduceKind::moments, 5, 0},
                                          {ReduceKind::add, 1, 1},
                                          {ReduceKind::moments, 3, 4}};
  const LaneSpan mine = lanes_of_rank(lanes, world.rank(), world.size());
  std::vector<std::vector<double>> values, results, expected;
  std::vector<StatisticPart> parts;
  for (const StatisticsCase& item : cases) {
    values.push_back(lane_statistics(item, lanes));
    expected.push_back(expected_statistics(item, values.back(), lanes));
    results.emplace_back(expected.back().size(), -1.0);
  }
  for (std::size_t i = 0; i < cases.size(); ++i)
    parts.push_back({cases[i].kind, cases[i].size, cases[i].group_lanes, values[i].data() + mine.first * cases[i].size, results[i].data()});
  std::unique_ptr<StatisticsReducer> reducer;
  if (mode == RunMode::exact)
    reducer = std::make_unique<TreeStatisticsReducer>(world);
  else
    reducer = std::make_unique<FastStatisticsReducer>(world);
  for (int again = 0; again < 2; ++again) {
    reducer->reduce(parts, mine, lanes, {});
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (mode == RunMode::exact)
        EXPECT_EQ(0, std::memcmp(results[i].data(), expected[i].data(), expected[i].size() * sizeof(double)))
            << lanes << " lanes, part " << i;
      else
        for (std::size_t j = 0; j < expected[i].size(); ++j)
          EXPECT_NEAR(results[i][j], expected[i][j], 1e-9 * (1 + std::abs(expected[i][j]))) << i << " " << j;
    }
  }
}

inline std::vector<float> lane_gradients(int lanes, std::int64_t elements) {
  std::mt19937 random(static_cast<unsigned>(lanes * 1000 + elements));
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<float> values(static_cast<std::size_t>(lanes * elements));
  for (float& value : values) value = normal(random) * std::exp2(8 * normal(random));
  return values;
}

inline std::vector<NodeGradient> fold_gradients(const std::vector<float>& lanes_values, LaneSpan span, int lanes, std::int64_t elements,
                                                float* memory) {
  FoldStack stack(lanes);
  for (int lane = span.first; lane < span.last; ++lane) {
    const FoldStack::Step step = stack.push({lane, lane + 1});
    float* slot = memory + step.slot * elements;
    std::copy_n(lanes_values.begin() + lane * elements, elements, slot);
    for (int m = 1; m <= step.merges; ++m) combine_add(slot - m * elements, slot - (m - 1) * elements, elements);
  }
  std::vector<NodeGradient> nodes;
  for (std::size_t i = 0; i < stack.nodes().size(); ++i)
    nodes.push_back({stack.nodes()[i], memory + static_cast<std::int64_t>(i) * elements});
  return nodes;
}

/// `in_place`: the first node lies in the result, as the executor's does.
inline void check_gradients(Communicator& world, int lanes, std::int64_t elements, RunMode mode, bool in_place) {
  const LaneSpan mine = lanes_of_rank(lanes, world.rank(), world.size());
  const std::vector<float> values = lane_gradients(lanes, elements);
  std::vector<float> whole(static_cast<std::size_t>(FoldStack::slots({0, lanes}, lanes) * elements));
  const float* expected = fold_gradients(values, {0, lanes}, lanes, elements, whole.data())[0].data;
  std::vector<float> memory(static_cast<std::size_t>((FoldStack::slots(mine, lanes) + 1) * elements)),
      other(static_cast<std::size_t>(elements), -1.0f);
  const std::vector<NodeGradient> nodes = fold_gradients(values, mine, lanes, elements, memory.data());
  float* result = in_place ? nodes[0].data : other.data();
  std::unique_ptr<GradientSynchronizer> synchronizer;
  if (mode == RunMode::exact)
    synchronizer = std::make_unique<TreeGradientSynchronizer>(world, lanes);
  else
    synchronizer = std::make_unique<AllReduceGradientSynchronizer>(world);
  synchronizer->reduce(0, elements, nodes, result, {});
  synchronizer->finish({});
  if (mode == RunMode::exact) {
    EXPECT_EQ(0, std::memcmp(result, expected, static_cast<std::size_t>(elements) * sizeof(float)))
        << lanes << " lanes, " << elements << " elements, rank " << world.rank() << " of " << world.size();
    return;
  }
  for (std::int64_t i = 0; i < elements; ++i) {
    float magnitude = 1e-6f;
    for (int lane = 0; lane < lanes; ++lane) magnitude += std::abs(values[static_cast<std::size_t>(lane * elements + i)]);
    EXPECT_NEAR(result[i], expected[i], 1e-5f * magnitude);
  }
}

}  // namespace lockstep::testing
