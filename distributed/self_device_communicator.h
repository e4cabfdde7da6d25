#pragma once

#include "core/device/device.h"
#include "distributed/device_communicator.h"

namespace lockstep {

/// A world of one rank: every collective is a copy on the device, which must outlive it.
class SelfDeviceCommunicator : public DeviceCommunicator {
 public:
  explicit SelfDeviceCommunicator(Device& device) : device_(device) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string describe() const override { return "self"; }
  bool overlaps() const override { return true; }

  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) override;
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive, std::span<const std::size_t> receive_bytes,
                  StreamView stream) override;
  void all_reduce_sum(float*, std::int64_t, StreamView) override {}

  void check() override {}
  void abort() override {}

 private:
  Device& device_;
};

}  // namespace lockstep
