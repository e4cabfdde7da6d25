#include <gtest/gtest.h>

#include <algorithm>

#include "core/model/lane_tree.h"
#include "tests/support/engine_op_checks.h"
#include "tests/support/error_text.h"
#include "tests/support/op_case.h"
#include "tests/support/random_values.h"

namespace lockstep::test {
namespace {

/// Items over the lanes of a tree, laid out as an op sees them.
struct Items {
  std::vector<LaneSpan> nodes;
  int lanes;
  std::int64_t size, stride;
  bool sequential = false;
};

/// What is asked of the folds: one lane, trees with a ragged right side, a node inside the tree, items that are nodes themselves,
/// many items, and runs from left to right.
std::vector<Items> all_items(std::int64_t size) {
  const auto lanes_of = [](int first, int last) {
    std::vector<LaneSpan> nodes;
    for (int lane = first; lane < last; ++lane) nodes.push_back({lane, lane + 1});
    return nodes;
  };
  const std::int64_t padded = (size + 3) / 4 * 4;
  return {{lanes_of(0, 1), 1, size, size},
          {lanes_of(0, 2), 2, size, padded},
          {lanes_of(0, 7), 7, size, padded + 4},
          {lanes_of(0, 16), 16, size, size + 1},
          {lanes_of(8, 12), 16, size, padded},
          {{{0, 4}, {4, 5}, {5, 6}, {6, 8}, {8, 13}}, 13, size, padded},
          {lanes_of(0, 1000), 1000, size, padded},
          {lanes_of(0, 5), 16, size, padded, true},
          {{{3, 9}, {9, 11}, {11, 12}}, 16, size, size, true}};
}

OpSpec spec_of(const char* op, const Items& items, Dtype dtype) {
  std::vector<std::int64_t> nodes;
  for (const LaneSpan& node : items.nodes) nodes.insert(nodes.end(), {node.first, node.last});
  const TensorSpec item{Shape{items.size}, dtype};
  return {.op = op,
          .layer = "test",
          .kind = PhaseKind::once,
          .reads = {{Role::statistic, item}},
          .writes = {{Role::statistic, item}},
          .attributes = {{"nodes", nodes},
                         {"lanes", std::int64_t{items.lanes}},
                         {"stride", items.stride},
                         {"sequential", std::int64_t{items.sequential}}}};
}

/// By the functions of core/model/lane_tree.h, pair by pair.
template <class T, class Combine>
std::vector<T> folded(const Items& items, const std::vector<T>& values, const Combine& combine_items) {
  std::vector<std::vector<T>> partial;
  FoldStack stack(items.lanes);
  for (std::size_t i = 0; i < items.nodes.size(); ++i) {
    const auto first = values.begin() + static_cast<std::int64_t>(i) * items.stride;
    partial.emplace_back(first, first + items.size);
    int merges = items.sequential ? (i > 0 ? 1 : 0) : stack.push(items.nodes[i]).merges;
    for (; merges > 0; --merges) {
      combine_items(partial[partial.size() - 2].data(), partial.back().data(), items.size);
      partial.pop_back();
    }
  }
  EXPECT_EQ(partial.size(), 1u);
  return partial[0];
}

template <class T, class Combine>
void expect_folded(Backend& backend, const char* op, const Items& items, const std::vector<T>& values, const Combine& combine_items, bool in_place,
                   std::size_t skew) {
  OpCase c(backend, spec_of(op, items, std::is_same_v<T, float> ? Dtype::f32 : Dtype::f64));
  c.read(values, skew);
  if (in_place)
    c.write_read(0);
  else
    c.write(std::vector<T>(static_cast<std::size_t>(items.size), T(7)), skew);
  c.run({.rows = items.size});
  std::vector<T> result = c.written<T>(0);
  if (in_place) {
    EXPECT_TRUE(std::equal(result.begin() + items.size, result.end(), values.begin() + items.size)) << "other items changed";
    result.resize(static_cast<std::size_t>(items.size));
  }
  EXPECT_EQ(result, folded(items, values, combine_items)) << op << ": " << items.nodes.size() << " items of " << items.size << ", stride " << items.stride
                                                          << (in_place ? ", in place" : "") << ", skew " << skew;
}

}  // namespace

void check_fold_add(Backend& backend) {
  for (const std::int64_t size : {1, 3, 4, 129, 530})
    for (const Items& items : all_items(size))
      for (const bool in_place : {false, true}) {
        const auto count = static_cast<std::size_t>(items.stride * static_cast<std::int64_t>(items.nodes.size()));
        for (const std::size_t skew : {0, 4}) expect_folded(backend, "fold.add_f32", items, random_values<float>(count), combine_add, in_place, skew);
        const auto add = [](double* into, const double* right, std::int64_t n) { combine(ReduceKind::add, into, right, n); };
        expect_folded(backend, "fold.add", items, random_values<double>(count), add, in_place, 8);
      }
}

void check_fold_moments(Backend& backend) {
  for (const std::int64_t channels : {0, 1, 3, 64, 200})
    for (const Items& items : all_items(1 + 2 * channels))
      for (const bool in_place : {false, true}) {
        auto values = random_values<double>(static_cast<std::size_t>(items.stride) * items.nodes.size());
        // Some items have no samples.
        for (std::size_t i = 0; i < items.nodes.size(); ++i) values[i * static_cast<std::size_t>(items.stride)] = static_cast<double>((i * 5 + 4) % 7);
        const auto add = [](double* into, const double* right, std::int64_t n) { combine(ReduceKind::moments, into, right, n); };
        expect_folded(backend, "fold.moments", items, values, add, in_place, 0);
      }
}

void check_fold_errors(Backend& backend) {
  const auto error = [&](const Items& items) { return error_text([&] { backend.make(spec_of("fold.add", items, Dtype::f64)); }); };
  EXPECT_EQ(error({{{0, 1}, {1, 2}, {2, 3}}, 16, 1, 1}), "fold.add: the items are not a node of the lane tree: 2 partial results are left");
  EXPECT_EQ(error({{}, 16, 1, 1}), "fold.add: expected the first and the last lane of each item, got 0 numbers");
  EXPECT_EQ(error({std::vector<LaneSpan>(4097, LaneSpan{0, 1}), 8192, 1, 1, true}), "fold.add: expected at most 4096 items, got 4097");
}

}  // namespace lockstep::test
