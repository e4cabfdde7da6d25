#pragma once

#include <vector>

#include "core/train/reduction.h"
#include "distributed/communicator.h"

namespace lockstep {

/// `exact` mode. Each rank folds its lanes to the nodes of each group's tree, one all_gather carries the nodes of all
/// parts, and every rank folds them to the totals: the same bits on any number of ranks. Meant for small vectors: a
/// rank receives everybody's nodes. The communicator must outlive it.
class TreeStatisticsReducer : public StatisticsReducer {
 public:
  explicit TreeStatisticsReducer(Communicator& communicator) : communicator_(communicator) {}
  void reduce(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes, StreamView stream) override;

 private:
  void fold_mine(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes);
  void fold_all(std::span<const StatisticPart> parts, int total_lanes);

  Communicator& communicator_;
  std::vector<double> send_, receive_, scratch_;
  std::vector<std::size_t> bytes_;
};

}  // namespace lockstep
