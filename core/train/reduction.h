#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/lane_tree.h"
#include "core/tensor/stream.h"

namespace lockstep {

/// A statistic to be reduced: `local` holds this rank's lanes, one after another, `size` doubles each; `result`
/// receives one total per group of `group_lanes` lanes (0: one group), on every rank.
struct StatisticPart {
  ReduceKind kind = ReduceKind::add;
  std::int64_t size = 0;
  int group_lanes = 0;
  const double* local = nullptr;
  double* result = nullptr;
};

/// Meets the other ranks for batch statistics, losses and metrics. Collective: every rank calls it with the same
/// parts in the same order.
class StatisticsReducer {
 public:
  virtual ~StatisticsReducer() = default;
  /// `lanes` are this rank's, of `total_lanes`. All parts travel in one collective. In `exact` mode the sums follow
  /// the lane tree of each group. In `fast` mode `local` has the same layout: the slot of the first lane of each piece
  /// that ran as one holds the whole piece, the others hold zeros.
  virtual void reduce(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes, StreamView stream) = 0;
};

/// A partial gradient: a whole bucket, summed over the lanes of `node`.
struct NodeGradient {
  LaneSpan node;
  float* data = nullptr;
};

/// Meets the other ranks for gradients. Collective: the same buckets in the same order on every rank.
class GradientSynchronizer {
 public:
  virtual ~GradientSynchronizer() = default;
  /// Starts the reduction of a bucket of `elements` floats. `nodes` cover this rank's lanes in tree order (none when
  /// the rank has no lanes in the batch's tree) and stay untouched until `finish`; `result` receives the sum over all
  /// ranks. `nodes[0].data` may be `result`.
  virtual void reduce(int bucket, std::int64_t elements, std::span<const NodeGradient> nodes, float* result, StreamView stream) = 0;
  /// Returns when all started reductions are done.
  virtual void finish(StreamView stream) = 0;
};

}  // namespace lockstep
