#include "distributed/thread_communicator.h"

#include <cstring>
#include <exception>
#include <thread>

#include <fmt/format.h>

#include "core/base/error.h"
#include "distributed/thread_group.h"

namespace lockstep {

void ThreadCommunicator::mismatch(const std::string& why) const {
  group_->job->fail_all("threads: " + why);
  throw Error(ErrorKind::internal, "threads: " + why);
}

template <class Read>
void ThreadCommunicator::exchange(const char* what, const void* send, std::vector<std::size_t> bytes, const Read& read) {
  post(rank_).send = send;
  post(rank_).bytes = std::move(bytes);
  group_->meet(rank_, what);
  read();
  group_->meet(rank_, what);
}

void ThreadCommunicator::same_sizes(const char* what, std::span<const std::size_t> bytes) const {
  for (int r = 0; r < size(); ++r)
    if (!std::equal(bytes.begin(), bytes.end(), post(r).bytes.begin(), post(r).bytes.end()))
      mismatch(fmt::format("{}: ranks {} and {} give different sizes", what, rank_, r));
}

void ThreadCommunicator::barrier() {
  exchange("barrier", nullptr, {}, [] {});
}

void ThreadCommunicator::broadcast(void* data, std::size_t bytes, int root) {
  require(root >= 0 && root < size(), "broadcast: expected a root below {}, got {}", size(), root);
  exchange("broadcast", data, {bytes, static_cast<std::size_t>(root)}, [&] {
    same_sizes("broadcast", std::vector<std::size_t>{bytes, static_cast<std::size_t>(root)});
    if (rank_ != root && bytes > 0) std::memcpy(data, post(root).send, bytes);
  });
}

template <class T>
void ThreadCommunicator::sum(const char* what, T* data, std::int64_t count) {
  std::vector<T> total(static_cast<std::size_t>(count));
  const std::vector<std::size_t> bytes{total.size() * sizeof(T)};
  exchange(what, data, bytes, [&] {
    same_sizes(what, bytes);
    for (int r = 0; r < size(); ++r)
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += static_cast<const T*>(post(r).send)[i];
  });
  std::copy(total.begin(), total.end(), data);
}

void ThreadCommunicator::all_reduce_sum(float* data, std::int64_t count) { sum("all_reduce_sum of f32", data, count); }
void ThreadCommunicator::all_reduce_sum(double* data, std::int64_t count) { sum("all_reduce_sum of f64", data, count); }

void ThreadCommunicator::all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) {
  require(bytes.size() == static_cast<std::size_t>(size()), "all_gather: expected {} sizes, got {}", size(), bytes.size());
  exchange("all_gather", send, {bytes.begin(), bytes.end()}, [&] {
    same_sizes("all_gather", bytes);
    auto* to = static_cast<std::byte*>(receive);
    for (int r = 0; r < size(); ++r) {
      const std::size_t part = bytes[static_cast<std::size_t>(r)];
      if (part > 0 && to != post(r).send) std::memcpy(to, post(r).send, part);
      to += part;
    }
  });
}

void ThreadCommunicator::all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                                    std::span<const std::size_t> receive_bytes) {
  const auto ranks = static_cast<std::size_t>(size());
  require(send_bytes.size() == ranks && receive_bytes.size() == ranks, "all_to_all: expected {} sizes each way", ranks);
  exchange("all_to_all", send, {send_bytes.begin(), send_bytes.end()}, [&] {
    auto* to = static_cast<std::byte*>(receive);
    for (int r = 0; r < size(); ++r) {
      const std::vector<std::size_t>& theirs = post(r).bytes;
      const std::size_t part = receive_bytes[static_cast<std::size_t>(r)];
      std::size_t skip = 0;
      for (int s = 0; s < rank_; ++s) skip += theirs[static_cast<std::size_t>(s)];
      if (theirs[static_cast<std::size_t>(rank_)] != part)
        mismatch(fmt::format("all_to_all: rank {} sends {} bytes to rank {}, which expects {}", r, theirs[static_cast<std::size_t>(rank_)],
                             rank_, part));
      if (part > 0) std::memcpy(to, static_cast<const std::byte*>(post(r).send) + skip, part);
      to += part;
    }
  });
}

std::unique_ptr<Communicator> ThreadCommunicator::split(int colour) {
  post(rank_).colour = colour;
  group_->meet(rank_, "split");
  int leader = -1, members = 0, mine = 0;
  for (int r = 0; r < size(); ++r) {
    if (post(r).colour != colour) continue;
    if (leader < 0) leader = r;
    if (r == rank_) mine = members;
    ++members;
  }
  if (leader == rank_) post(rank_).group = std::make_shared<ThreadGroup>(group_->job, members);
  group_->meet(rank_, "split");
  auto result = std::make_unique<ThreadCommunicator>(post(leader).group, mine);
  group_->meet(rank_, "split");
  post(rank_).group.reset();
  return result;
}

void ThreadCommunicator::abort(int code) {
  group_->job->fail_all(fmt::format("threads: rank {} ended the job with exit code {}", rank_, code));
}

void run_ranks(int ranks, const std::function<void(Communicator&)>& work, std::chrono::milliseconds limit) {
  const auto job = std::make_shared<ThreadJob>();
  job->limit = limit;
  const auto group = std::make_shared<ThreadGroup>(job, ranks);
  std::exception_ptr first;
  std::mutex guard;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      ThreadCommunicator communicator(group, rank);
      try {
        work(communicator);
        group->leave(rank);
      } catch (...) {
        // Kept before the others are woken: their errors only follow from this one.
        const std::lock_guard lock(guard);
        if (!first) first = std::current_exception();
        std::string why = "an unknown error";
        try {
          throw;
        } catch (const std::exception& error) {
          why = error.what();
        } catch (...) {
        }
        job->fail_all(fmt::format("threads: rank {} failed: {}", rank, why));
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace lockstep
