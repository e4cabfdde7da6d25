#include "core/model/lane_tree.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/model/moments.h"

namespace lockstep {
namespace {

void combine_moments(double* into, const double* right, std::int64_t size) {
  const std::int64_t channels = (size - 1) / 2;
  const double n_left = into[0], n_right = right[0];
  if (n_right == 0) return;
  if (n_left == 0) {
    std::memcpy(into, right, static_cast<std::size_t>(size) * sizeof(double));
    return;
  }
  const MomentShare share = moment_share(n_left, n_right);
  into[0] = share.count;
  for (std::int64_t c = 0; c < channels; ++c) combine_moment(share, into[1 + c], into[1 + channels + c], right[1 + c], right[1 + channels + c]);
}

}  // namespace

LaneSpan lanes_of_rank(int lanes, int rank, int ranks) {
  require(ranks > 0 && rank >= 0 && rank < ranks && lanes >= 0, "lanes: expected a rank below {} and lanes, got rank {} and {} lanes",
          ranks, rank, lanes);
  const auto bound = [&](int r) { return static_cast<int>(std::int64_t{r} * lanes / ranks); };
  return {bound(rank), bound(rank + 1)};
}

bool are_siblings(LaneSpan left, LaneSpan right, int lanes) {
  const int size = left.count();
  const bool power_of_two = size > 0 && (size & (size - 1)) == 0;
  return power_of_two && left.first % (2 * size) == 0 && right.first == left.last && right.count() > 0 &&
         right.last == std::min(right.first + size, lanes);
}

std::vector<LaneSpan> cover(LaneSpan span, int lanes) {
  std::vector<LaneSpan> nodes;
  for (int at = span.first; at < span.last; at = nodes.back().last) {
    int size = 1;
    while (at + size < lanes && at % (2 * size) == 0 && std::min(at + 2 * size, lanes) <= span.last) size *= 2;
    nodes.push_back({at, std::min(at + size, lanes)});
  }
  return nodes;
}

void combine(ReduceKind kind, double* into, const double* right, std::int64_t size) {
  if (kind == ReduceKind::moments) return combine_moments(into, right, size);
  for (std::int64_t i = 0; i < size; ++i) into[i] += right[i];
}

void combine_add(float* into, const float* right, std::int64_t size) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) into[i] += right[i];
}

void fold(ReduceKind kind, std::span<const LaneSpan> nodes, int lanes, double* values, std::int64_t size) {
  FoldStack stack(lanes);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const FoldStack::Step step = stack.push(nodes[i]);
    double* slot = values + step.slot * size;
    const double* from = values + static_cast<std::int64_t>(i) * size;
    if (slot != from) std::memcpy(slot, from, static_cast<std::size_t>(size) * sizeof(double));
    for (int merge = 1; merge <= step.merges; ++merge) combine(kind, slot - merge * size, slot - (merge - 1) * size, size);
  }
  require(stack.nodes().size() == 1 && stack.nodes()[0] == LaneSpan{0, lanes}, "fold: the nodes do not cover the lanes 0 to {}", lanes);
}

FoldStack::Step FoldStack::push(LaneSpan node) {
  Step step{static_cast<int>(nodes_.size()), 0};
  nodes_.push_back(node);
  while (nodes_.size() > 1 && are_siblings(nodes_[nodes_.size() - 2], nodes_.back(), lanes_)) {
    const int last = nodes_.back().last;
    nodes_.pop_back();
    nodes_.back().last = last;
    ++step.merges;
  }
  return step;
}

int FoldStack::slots(LaneSpan span, int lanes) {
  FoldStack stack(lanes);
  int most = 0;
  for (int lane = span.first; lane < span.last; ++lane) most = std::max(most, stack.push({lane, lane + 1}).slot + 1);
  return most;
}

}  // namespace lockstep
