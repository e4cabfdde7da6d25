#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "core/device/device.h"
#include "distributed/communicator.h"
#include "distributed/device_communicator.h"

namespace lockstep {

/// Collectives through the host: copy to staging memory, the host communicator's call, copy back. For ranks that share a
/// device and for machines without NCCL. Slow: each call waits for the main queue, on which all of it runs, and cuts a
/// recording in two. Staging memory is kept for each pair of buffers and sizes, so that a replay finds it. Device and
/// host communicator must outlive it.
class StagedDeviceCommunicator : public DeviceCommunicator {
 public:
  StagedDeviceCommunicator(Device& device, Communicator& ranks) : device_(device), ranks_(ranks) {}

  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  std::string describe() const override { return "staged over " + ranks_.describe(); }
  bool overlaps() const override { return false; }

  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) override;
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive, std::span<const std::size_t> receive_bytes,
                  StreamView stream) override;
  void all_reduce_sum(float* data, std::int64_t count, StreamView stream) override;

  void check() override {}
  void abort() override {}

 private:
  /// What a call needs on the host; recordings refer to it.
  struct Site {
    StagingBuffer send, receive;
    std::vector<std::size_t> send_bytes, receive_bytes;
  };
  enum class Call { gather, exchange, sum };
  using Key = std::tuple<Call, const void*, const void*, std::vector<std::size_t>, std::vector<std::size_t>>;

  Site& site(Call call, const void* send, void* receive, std::span<const std::size_t> send_bytes,
             std::span<const std::size_t> receive_bytes);
  void require_main(StreamView stream);

  Device& device_;
  Communicator& ranks_;
  std::map<Key, Site> sites_;
};

}  // namespace lockstep
