#include "core/backend/cpu/thread_pool.h"

#include <omp.h>
#include <sched.h>
#include <xmmintrin.h>

#include <cstddef>

namespace lockstep::cpu {

namespace {

constexpr int kSpins = 2000;                  // pauses, some 50 microseconds
constexpr unsigned kFlushDenormals = 0x8040;  // FTZ and DAZ of MXCSR

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set);
}

}  // namespace

void prepare_thread() {
  thread_local bool prepared = false;
  if (!prepared) omp_set_num_threads(1);
  prepared = true;
  const unsigned control = _mm_getcsr();
  if ((control & kFlushDenormals) != kFlushDenormals) _mm_setcsr(control | kFlushDenormals);
}

ThreadPool::ThreadPool(int threads)
    : threads_(threads), spins_(threads <= available_cores() ? kSpins : 0), errors_(static_cast<std::size_t>(threads)) {
  prepare_thread();
  for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { serve(worker); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) const {
  for (int spin = 0; spin < spins_; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    _mm_pause();
  }
  value.wait(old, std::memory_order_acquire);
}

void ThreadPool::work(int worker) {
  const auto bound = [&](int w) { return static_cast<int>(static_cast<std::int64_t>(tasks_) * w / threads_); };
  try {
    for (int task = bound(worker); task < bound(worker + 1); ++task) (*body_)(task, worker);
  } catch (...) {
    errors_[static_cast<std::size_t>(worker)] = std::current_exception();
  }
}

void ThreadPool::serve(int worker) {
  prepare_thread();
  for (std::uint32_t round = 0;;) {
    wait_while(round_, round);
    ++round;
    if (stop_) return;
    work(worker);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

void ThreadPool::run(int tasks, const std::function<void(int, int)>& body) {
  prepare_thread();
  tasks_ = tasks;
  body_ = &body;
  if (threads_ > 1) {
    busy_.store(static_cast<std::uint32_t>(threads_ - 1), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  work(0);
  for (std::uint32_t left = busy_.load(std::memory_order_acquire); left != 0; left = busy_.load(std::memory_order_acquire))
    wait_while(busy_, left);
  std::exception_ptr first;
  for (std::exception_ptr& error : errors_) {
    if (!first) first = error;
    error = nullptr;
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace lockstep::cpu
