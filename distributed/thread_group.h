#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace lockstep {

/// What all ranks of one job on threads share: a failure on one rank wakes whoever waits in any group.
struct ThreadJob {
  std::mutex mutex;
  std::condition_variable changed;
  std::string failure;  ///< empty while all is well; the first one stays
  std::chrono::milliseconds limit{};

  void fail_all(const std::string& why);
};

/// Where the ranks of one group meet.
class ThreadGroup {
 public:
  /// What a rank shows to the others while a collective runs.
  struct Post {
    const char* what = nullptr;  ///< null: outside
    const void* send = nullptr;
    std::vector<std::size_t> bytes;      ///< to each rank, or one entry
    std::shared_ptr<ThreadGroup> group;  ///< a split's new group: owned by its ranks together
    int colour = 0;
  };

  ThreadGroup(std::shared_ptr<ThreadJob> the_job, int ranks)
      : job(std::move(the_job)), posts(static_cast<std::size_t>(ranks)), left_(static_cast<std::size_t>(ranks)) {}

  /// Waits for all ranks; throws when the job has failed, when the limit passes or when the names differ.
  void meet(int rank, const char* what);
  /// Marks a rank that has ended: whoever waits for it, or will, fails at once.
  void leave(int rank);

  std::shared_ptr<ThreadJob> job;  // shared by every group and rank of the job: the last one frees it
  std::vector<Post> posts;

 private:
  std::string who_waits(const char* what) const;

  std::vector<bool> left_;
  int arrived_ = 0;
  std::uint64_t round_ = 0;
};

/// One rank's end of a group.
class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadGroup> group, int rank) : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->posts.size()); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return size(); }
  std::string describe() const override { return "threads"; }

  void barrier() override;
  void broadcast(void* data, std::size_t bytes, int root) override;
  void all_reduce_sum(float* data, std::int64_t count) override;
  void all_reduce_sum(double* data, std::int64_t count) override;
  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) override;
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                  std::span<const std::size_t> receive_bytes) override;
  std::unique_ptr<Communicator> split(int colour) override;
  void abort(int code) override;

 private:
  /// Shows this rank's part, waits for all, runs `read` on what the others show, and waits until all have read.
  template <class Read>
  void exchange(const char* what, const void* send, std::vector<std::size_t> bytes, const Read& read);
  template <class T>
  void sum(const char* what, T* data, std::int64_t count);
  void same_sizes(const char* what, std::span<const std::size_t> bytes) const;
  [[noreturn]] void mismatch(const std::string& why) const;
  ThreadGroup::Post& post(int rank) const { return group_->posts[static_cast<std::size_t>(rank)]; }

  std::shared_ptr<ThreadGroup> group_;  // owned by its ranks together
  int rank_;
};

}  // namespace lockstep
