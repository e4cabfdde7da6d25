#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

namespace lockstep::cpu {

/// A rank's threads. The caller of `run` is worker 0; the others sleep between calls, after a short spin where every
/// worker has a core of its own. Task runs are contiguous: worker w takes [tasks*w/n, tasks*(w+1)/n).
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  /// Returns when all tasks are done. A worker stops at its first exception; the lowest worker's is rethrown.
  void run(int tasks, const std::function<void(int task, int worker)>& body);

 private:
  void serve(int worker);
  void work(int worker);
  void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) const;

  int threads_;
  int spins_;
  int tasks_ = 0;
  const std::function<void(int, int)>* body_ = nullptr;
  std::vector<std::exception_ptr> errors_;
  alignas(64) std::atomic<std::uint32_t> round_{0};
  alignas(64) std::atomic<std::uint32_t> busy_{0};
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

/// Makes the calling thread fit for kernels: oneDNN alone on it (one OpenMP thread), denormals flushed to zero.
/// Called by every worker; a thread that runs kernels by itself calls it once.
void prepare_thread();

}  // namespace lockstep::cpu
