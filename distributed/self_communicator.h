#pragma once

#include "distributed/communicator.h"

namespace lockstep {

/// A world of one rank: every collective is a copy.
class SelfCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }
  std::string describe() const override { return "self"; }

  void barrier() override {}
  void broadcast(void* data, std::size_t bytes, int root) override;
  void all_reduce_sum(float*, std::int64_t) override {}
  void all_reduce_sum(double*, std::int64_t) override {}
  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) override;
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                  std::span<const std::size_t> receive_bytes) override;
  std::unique_ptr<Communicator> split(int colour) override;
  /// Nobody else to take along: the caller ends by itself.
  void abort(int code) override;
};

}  // namespace lockstep
