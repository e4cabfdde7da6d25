#pragma once

#include <memory>

#include "core/backend/backend.h"
#include "core/train/reduction.h"
#include "distributed/device_communicator.h"

namespace lockstep {

/// `fast` mode for gradients that lie on a device: sums a rank's nodes and leaves the rest to the library's all-reduce,
/// in place. Queued on the communication queue after what is on the caller's stream, which waits for it in `finish`.
/// Backend and ranks must outlive it.
class DeviceAllReduceGradientSynchronizer : public GradientSynchronizer {
 public:
  DeviceAllReduceGradientSynchronizer(Backend& backend, DeviceCommunicator& ranks);
  void reduce(int bucket, std::int64_t elements, std::span<const NodeGradient> nodes, float* result, StreamView stream) override;
  void finish(StreamView stream) override;

 private:
  Device& device_;
  DeviceCommunicator& ranks_;
  std::unique_ptr<Kernel> add_;
  bool under_way_ = false;
};

}  // namespace lockstep
