#pragma once

#include <string>

#include "distributed/communicator.h"
#include "distributed/mpi/mpi_calls.h"

namespace lockstep {

/// Ranks over MPI-3. An MPI error is an `io` error with MPI's own text. Needs MPI_THREAD_SERIALIZED: calls on all
/// communicators of a process one at a time. Counts above `largest_message` bytes go in pieces.
class MpiCommunicator : public Communicator {
 public:
  /// `owns_world`: `close` finalizes MPI; otherwise it frees the group. `calls` outlives this.
  MpiCommunicator(const LockstepMpiCalls& calls, LockstepMpiHandle comm, std::size_t largest_message, bool owns_world);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }
  std::string describe() const override { return library_; }

  void barrier() override;
  void broadcast(void* data, std::size_t bytes, int root) override;
  void all_reduce_sum(float* data, std::int64_t count) override;
  void all_reduce_sum(double* data, std::int64_t count) override;
  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) override;
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                  std::span<const std::size_t> receive_bytes) override;
  std::unique_ptr<Communicator> split(int colour) override;
  void abort(int code) override;
  void close() override;

 private:
  void check(int code, const char* call) const;
  template <class Item>
  void sum(Item* data, std::int64_t count, int (*all_reduce)(LockstepMpiHandle, Item*, int));
  void gather_in_pieces(const std::byte* send, std::byte* receive, std::span<const std::size_t> bytes);

  const LockstepMpiCalls& calls_;
  LockstepMpiHandle comm_;
  std::size_t largest_;
  bool owns_world_;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::string library_;
};

/// Starts MPI by the plug-in: all ranks of the job.
std::unique_ptr<Communicator> open_mpi_world(std::size_t largest_message);

}  // namespace lockstep
