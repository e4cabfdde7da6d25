#include "tests/support/simt/block.h"

#include <xmmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>

#include "core/base/error.h"
#include "tests/support/simt/random.h"
#include "tests/support/simt/stack_switch.h"

constinit thread_local uint3 threadIdx{0, 0, 0}, blockIdx{0, 0, 0};
constinit thread_local dim3 blockDim{1, 1, 1}, gridDim{1, 1, 1};

namespace lockstep::simt {

namespace {

namespace context = boost::context;

constexpr std::size_t kStackBytes = 256 * 1024;
constexpr unsigned kMostThreads = 1024;
/// A GPU keeps subnormal numbers, whatever the thread's owner likes.
constexpr unsigned kRounding = 0x1F80;

enum class State : std::uint8_t { fresh, running, ready, at_block, at_warp, left };

/// A stack. It takes threads that have not begun one after another until one of them has to wait; then it is that thread's.
struct Worker {
  context::fiber fiber;
  Stack stack;
};

/// Takes a thread off its stack.
struct Abandoned {};

struct Thread {
  Worker* worker = nullptr;
  std::source_location at;
  unsigned mask = 0;
  int source = -1;
  std::uint64_t value = 0;
  WarpValues* all = nullptr;
};

struct Warp {
  unsigned present = 0, waiting = 0;
};

bool same(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name();
}

std::string text_of(const std::source_location& at) {
  const std::string_view file = at.file_name();
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), at.line());
}

/// One block at a time of one OS thread.
class Runner {
 public:
  Runner() = default;
  ~Runner() { abandon(); }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void run(dim3 grid, dim3 block, Body body) {
    require(!busy_, "simt: a kernel runs another kernel");
    busy_ = true;
    body_ = body;
    blockDim = block, gridDim = grid;
    threads_ = static_cast<int>(block.x * block.y * block.z);
    try {
      const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
      Order order(blocks);
      for (std::uint64_t i = 0; i < blocks; ++i) {
        const std::uint64_t b = order.next();
        blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                    static_cast<unsigned>(b / grid.x / grid.y)};
        run_block();
      }
    } catch (...) {
      abandon();
      throw;
    }
    busy_ = false;
  }
  bool busy() const { return busy_; }
  int lane() const { return current_ % 32; }

  BlockVote meet_block(int predicate, const std::source_location& at) {
    if (waiting_ == 0) {
      vote_ = {};
      block_at_ = at;
    } else if (!same(block_at_, at)) {
      fail(ErrorKind::internal, "simt: threads of block {} wait at different barriers: {} at {}, thread {} at {} (seed {})", block_text(),
           waiting_, text_of(block_at_), current_, text_of(at), seed());
    }
    vote_.sum += predicate != 0;
    vote_.all &= predicate != 0;
    vote_.any |= predicate != 0;
    if (++waiting_ == threads_) {
      waiting_ = 0;
      result_ = vote_;
      for (int t = 0; t < threads_; ++t)
        if (t != current_) make_ready(t);
    } else {
      state_[index()] = State::at_block;
      suspend();
    }
    return result_;
  }

  std::uint64_t meet_warp(unsigned mask, std::uint64_t value, int source, WarpValues* all, const std::source_location& at) {
    const int warp = current_ / 32;
    const unsigned me = 1u << (current_ % 32);
    if (!(mask & me)) fail(ErrorKind::internal, "simt: lane {} is not in its own mask {:#x} at {}", current_ % 32, mask, text_of(at));
    Thread& thread = thread_[index()];
    thread.at = at, thread.mask = mask, thread.source = source, thread.value = value, thread.all = all;
    state_[index()] = State::at_warp;
    warp_[static_cast<std::size_t>(warp)].waiting |= me;
    if (complete(warp, mask, at)) {
      release(warp, mask, me);
      state_[index()] = State::running;
    } else {
      suspend();
    }
    if (thread.source == -2)
      fail(ErrorKind::internal, "simt: lane {} of block {} reads a lane at {} that takes no part (mask {:#x}, seed {})", current_ % 32, block_text(),
           text_of(at), mask, seed());
    return thread.value;
  }

 private:
  std::size_t index() const { return static_cast<std::size_t>(current_); }
  std::string block_text() const { return fmt::format("[{}, {}, {}]", blockIdx.x, blockIdx.y, blockIdx.z); }

  void set_current(int thread) {
    current_ = thread;
    const unsigned t = static_cast<unsigned>(thread);
    if (blockDim.x == static_cast<unsigned>(threads_)) {
      threadIdx = {t, 0, 0};
    } else {
      threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
    }
  }
  void make_ready(int thread) {
    state_[static_cast<std::size_t>(thread)] = State::ready;
    ready_.push_back(thread);
  }

  void run_block() {
    started_ = left_ = waiting_ = 0;
    ready_.clear();
    std::fill_n(state_.begin(), threads_, State::fresh);
    for (int w = 0; w * 32 < threads_; ++w) {
      const int lanes = std::min(32, threads_ - w * 32);
      warp_[static_cast<std::size_t>(w)] = {lanes == 32 ? ~0u : (1u << lanes) - 1, 0};
    }
    order_ = Order(static_cast<std::uint64_t>(threads_));
    while (left_ < threads_) {
      const bool fresh = started_ < threads_;
      if (ready_.empty() && !fresh) fail_stuck();
      if (fresh && (ready_.empty() || (random() & 1))) {
        resume(idle_worker());
      } else {
        const std::size_t pick = random_below(static_cast<std::uint32_t>(ready_.size()));
        const int thread = ready_[pick];
        ready_[pick] = ready_.back();
        ready_.pop_back();
        set_current(thread);
        state_[index()] = State::running;
        resume(thread_[index()].worker);
      }
    }
  }

  Worker* idle_worker() {
    if (!idle_.empty()) {
      Worker* worker = idle_.back();
      idle_.pop_back();
      return worker;
    }
    workers_.push_back(std::make_unique<Worker>());
    Worker* const worker = workers_.back().get();
    context::protected_fixedsize_stack allocator(kStackBytes);
    const context::stack_context stack = allocator.allocate();
    worker->stack = {static_cast<const std::byte*>(stack.sp) - stack.size, stack.size};
    const context::preallocated place(stack.sp, stack.size, stack);
    worker->fiber = context::fiber(std::allocator_arg, place, allocator, [this, worker](context::fiber&& main) {
      main_ = std::move(main);
      after_switch(nullptr, &main_stack_);
      _mm_setcsr(kRounding);
      while (!ending_) {
        try {
          work(worker);
        } catch (const Abandoned&) {
          break;
        } catch (...) {
          error_ = std::current_exception();
        }
        idle_.push_back(worker);
        switch_to_main();
      }
      before_switch(nullptr, main_stack_);
      return std::move(main_);
    });
    return worker;
  }

  void resume(Worker* worker) {
    switch_to(*worker);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  void switch_to(Worker& worker) {
    void* kept = nullptr;
    before_switch(&kept, worker.stack);
    worker.fiber = std::move(worker.fiber).resume();
    after_switch(kept, nullptr);
  }

  void switch_to_main() {
    void* kept = nullptr;
    before_switch(&kept, main_stack_);
    main_ = std::move(main_).resume();
    after_switch(kept, &main_stack_);
  }

  void suspend() {
    switch_to_main();
    if (ending_) throw Abandoned{};
  }

  /// Runs threads that have not begun, until one that waited may go on.
  void work(Worker* worker) {
    while (started_ < threads_) {
      ++started_;
      set_current(static_cast<int>(order_.next()));
      thread_[index()].worker = worker;
      state_[index()] = State::running;
      body_.run(body_.data);
      leave();
      if (!ready_.empty()) return;
    }
  }

  void leave() {
    state_[index()] = State::left;
    ++left_;
    const int number = current_ / 32;
    Warp& warp = warp_[static_cast<std::size_t>(number)];
    warp.present &= ~(1u << (current_ % 32));
    // The lanes that waited for this one alone.
    for (unsigned rest = warp.waiting; rest;) {
      const int l = std::countr_zero(rest);
      const Thread& waiter = thread_[static_cast<std::size_t>(number * 32 + l)];
      const unsigned mask = waiter.mask;
      rest &= ~mask & ~(1u << l);
      if (complete(number, mask, waiter.at)) release(number, mask, 0);
    }
  }

  /// Whether all lanes of the mask that have not left wait at this place with this mask.
  bool complete(int number, unsigned mask, const std::source_location& at) const {
    const Warp& warp = warp_[static_cast<std::size_t>(number)];
    const unsigned expected = mask & warp.present;
    if ((warp.waiting & expected) != expected) return false;
    for (unsigned rest = expected; rest; rest &= rest - 1) {
      const Thread& thread = thread_[static_cast<std::size_t>(number * 32 + std::countr_zero(rest))];
      if (thread.mask != mask || !same(thread.at, at)) return false;
    }
    return true;
  }

  /// Hands every lane of the mask its values; they no longer wait, and all but `running` are ready.
  void release(int number, unsigned mask, unsigned running) {
    Warp& warp = warp_[static_cast<std::size_t>(number)];
    const unsigned lanes = mask & warp.present;
    WarpValues values{};
    values.lanes = lanes;
    Thread* const first = &thread_[static_cast<std::size_t>(number) * 32];
    for (unsigned rest = lanes; rest; rest &= rest - 1) values.values[std::countr_zero(rest)] = first[std::countr_zero(rest)].value;
    for (unsigned rest = lanes; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      if (!(running >> l & 1)) make_ready(number * 32 + l);
      Thread& thread = first[l];
      if (thread.all) *thread.all = values;
      if (thread.source < 0) continue;
      if (lanes >> thread.source & 1)
        thread.value = values.values[thread.source];
      else
        thread.source = -2;
    }
    warp.waiting &= ~lanes;
  }

  [[noreturn]] void fail_stuck() {
    std::map<std::string, int> places;
    for (int t = 0; t < threads_; ++t) {
      const State state = state_[static_cast<std::size_t>(t)];
      if (state == State::at_block) ++places[text_of(block_at_)];
      if (state == State::at_warp) {
        const Thread& thread = thread_[static_cast<std::size_t>(t)];
        ++places[fmt::format("{} (mask {:#x})", text_of(thread.at), thread.mask)];
      }
    }
    std::string text;
    for (const auto& [place, count] : places) text += fmt::format("{}{} at {}", text.empty() ? "" : ", ", count, place);
    fail(ErrorKind::internal, "simt: threads of block {} wait at barriers that others never reach: {}; {} of {} have left (seed {})",
         block_text(), text, left_, threads_, seed());
  }

  /// Ends the stacks, also those that threads are still on.
  void abandon() {
    ending_ = true;
    for (const auto& worker : workers_)
      if (worker->fiber) switch_to(*worker);
    ending_ = busy_ = false;
    idle_.clear();
    workers_.clear();
    error_ = nullptr;
  }

  bool busy_ = false, ending_ = false;
  Body body_;
  int threads_ = 0, started_ = 0, left_ = 0, waiting_ = 0, current_ = 0;
  Order order_{0};
  std::array<State, kMostThreads> state_{};
  std::array<Thread, kMostThreads> thread_{};
  std::array<Warp, kMostThreads / 32> warp_{};
  std::vector<int> ready_;
  BlockVote vote_, result_;
  std::source_location block_at_;
  context::fiber main_;
  Stack main_stack_;
  std::exception_ptr error_;
  std::vector<Worker*> idle_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

Runner& runner() {
  thread_local const auto made = std::make_unique<Runner>();
  return *made;
}

Runner& running() {
  Runner& one = runner();
  require(one.busy(), "simt: a barrier or shuffle outside of a kernel");
  return one;
}

}  // namespace

void run_grid(dim3 grid, dim3 block, Body body) { runner().run(grid, block, body); }
bool in_kernel() { return runner().busy(); }
int lane() { return running().lane(); }
BlockVote meet_block(int predicate, const std::source_location& at) { return running().meet_block(predicate, at); }
std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source, const std::source_location& at) {
  return running().meet_warp(mask, value, source, nullptr, at);
}
void meet_warp(unsigned mask, std::uint64_t value, const std::source_location& at, WarpValues* all) {
  running().meet_warp(mask, value, -1, all, at);
}

}  // namespace lockstep::simt
