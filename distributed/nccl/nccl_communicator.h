#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "core/device/device.h"
#include "distributed/communicator.h"
#include "distributed/device_communicator.h"
#include "distributed/nccl/nccl_library.h"

namespace lockstep {

/// Ranks over NCCL, one communicator, one GPU a rank. NCCL works without blocking: every call is followed until it is
/// queued, since neither the next call nor a recording may begin before; the device's work is not waited for. An NCCL
/// error is an `io` error with NCCL's own words. While it lives, waits on the device look at `check`. Device and ranks
/// must outlive it; recordings must be gone before `close`, and before `abort` where that is to free the device.
class NcclCommunicator : public DeviceCommunicator {
 public:
  struct Limits {
    std::chrono::duration<double> start{180};  ///< until a call is queued; the first ones connect
    std::chrono::duration<double> abort{10};   ///< NCCL waits for recordings without end
  };
  /// Collective; on the thread whose current device is this rank's. When a rank fails, all throw the same error.
  NcclCommunicator(const NcclLibrary& library, Device& device, Communicator& ranks, Limits limits);
  ~NcclCommunicator() override;
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string describe() const override { return description_; }
  bool overlaps() const override { return true; }

  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) override;
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive, std::span<const std::size_t> receive_bytes,
                  StreamView stream) override;
  void all_reduce_sum(float* data, std::int64_t count, StreamView stream) override;

  void check() override;
  void abort() override { give_up(); }
  void close() override;

 private:
  void start(const ncclUniqueId& id);
  /// Runs `calls`, which collects what its calls return, as one operation, and follows it until it is queued.
  void group(const char* what, const std::function<void(const std::function<void(ncclResult_t)>&)>& calls);
  void settle(ncclResult_t result, const char* what);
  void give_up();
  [[noreturn]] void fail_with(ncclResult_t result, const char* what) const;

  NcclLibrary nccl_;
  Device& device_;
  Limits limits_;
  int rank_, size_;
  ncclComm_t comm_ = nullptr;
  std::string description_;
};

}  // namespace lockstep
