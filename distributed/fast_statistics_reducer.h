#pragma once

#include <vector>

#include "core/train/reduction.h"
#include "distributed/communicator.h"

namespace lockstep {

/// `fast` mode. Each rank combines its lanes to one partial per group, one all_gather carries those of all parts, and
/// every rank combines them in rank order: equal on all ranks, but to rounding only between rank counts. The
/// communicator must outlive it.
class FastStatisticsReducer : public StatisticsReducer {
 public:
  explicit FastStatisticsReducer(Communicator& communicator) : communicator_(communicator) {}
  void reduce(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes, StreamView stream) override;

 private:
  Communicator& communicator_;
  std::vector<double> send_, receive_;
};

}  // namespace lockstep
