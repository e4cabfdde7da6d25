#pragma once

#include <vector>

#include "core/tensor/tensor.h"
#include "core/train/reduction.h"
#include "distributed/communicator.h"

namespace lockstep {

/// `exact` mode. Every rank owns an equal slice of a bucket: an all_to_all brings it all ranks' nodes of its slice, it
/// folds them along the lane tree, and an all_gather spreads the sums. For rank counts that are powers of two (and
/// divide the lanes) each rank sends 2N(P-1)/P bytes, as a ring all-reduce does; others send each of their nodes.
/// Reductions are done when `reduce` returns; nodes are used as scratch. The communicator must outlive it.
class TreeGradientSynchronizer : public GradientSynchronizer {
 public:
  TreeGradientSynchronizer(Communicator& communicator, int total_lanes);
  void reduce(int bucket, std::int64_t elements, std::span<const NodeGradient> nodes, float* result, StreamView stream) override;
  void finish(StreamView) override {}

 private:
  struct Slice {
    std::int64_t first = 0, last = 0;
    std::int64_t count() const { return last - first; }
  };
  Slice slice_of(int rank, std::int64_t elements) const;
  void trade(std::int64_t elements, std::span<const NodeGradient> nodes);
  void fold_slice(Slice mine, std::span<const NodeGradient> nodes, float* result);

  Communicator& communicator_;
  int total_lanes_;
  std::vector<std::vector<LaneSpan>> nodes_of_rank_;
  HostBuffer send_, receive_, saved_;
};

}  // namespace lockstep
