#pragma once

#include <map>
#include <utility>
#include <vector>

#include "core/backend/backend.h"
#include "core/train/reduction.h"
#include "distributed/device_communicator.h"
#include "distributed/device_fold.h"

namespace lockstep {

/// `exact` mode for gradients that lie on a device. Every rank owns a slice of a bucket: an all_to_all brings it all
/// ranks' nodes of its slice, a kernel folds them along the lane tree, and an all_gather spreads the sums: the bits of
/// TreeGradientSynchronizer, on any number of ranks. Queued on the communication queue after what is on the caller's
/// stream, which waits for it in `finish`. Memory (a bucket's size where the ranks are a power of two that divides the
/// lanes) is taken at a bucket's first reduction, which must not be recorded, and kept. Backend and ranks must outlive it.
class DeviceTreeGradientSynchronizer : public GradientSynchronizer {
 public:
  DeviceTreeGradientSynchronizer(Backend& backend, DeviceCommunicator& ranks, int total_lanes);
  void reduce(int bucket, std::int64_t elements, std::span<const NodeGradient> nodes, float* result, StreamView stream) override;
  void finish(StreamView stream) override;

 private:
  struct Bucket {
    std::int64_t first = 0, count = 0;  ///< this rank's slice
    std::vector<std::size_t> send_bytes, receive_bytes, slice_bytes;
    const Kernel* fold = nullptr;  ///< null for an empty slice
    DeviceBuffer packed;           ///< this rank's nodes by receiving rank; empty where one node is its own packing
    DeviceBuffer received;
  };
  Bucket& bucket(int number, std::int64_t elements);
  const float* pack(const Bucket& bucket, std::span<const NodeGradient> nodes, StreamView stream);

  Device& device_;
  DeviceCommunicator& ranks_;
  DeviceFold fold_;
  int total_lanes_;
  std::vector<std::vector<LaneSpan>> nodes_of_rank_;
  std::map<std::pair<int, std::int64_t>, Bucket> buckets_;
  bool under_way_ = false;
};

}  // namespace lockstep
