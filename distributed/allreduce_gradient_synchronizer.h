#pragma once

#include "core/train/reduction.h"
#include "distributed/communicator.h"

namespace lockstep {

/// `fast` mode: sums a rank's nodes and leaves the rest to the library's all-reduce, in place. Done when `reduce`
/// returns. The communicator must outlive it.
class AllReduceGradientSynchronizer : public GradientSynchronizer {
 public:
  explicit AllReduceGradientSynchronizer(Communicator& communicator) : communicator_(communicator) {}
  void reduce(int bucket, std::int64_t elements, std::span<const NodeGradient> nodes, float* result, StreamView stream) override;
  void finish(StreamView) override {}

 private:
  Communicator& communicator_;
};

}  // namespace lockstep
