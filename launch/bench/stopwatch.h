#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/train/callback.h"
#include "distributed/communicator.h"

namespace lockstep {

/// Cuts a training run into blocks of steps and times each from end to end, while the loop goes on as it always does: the next
/// batch travels while a step is under way, and a block begins with its first batch on the device as it ends with that of the next.
class Stopwatch final : public Callback {
 public:
  struct Block {
    std::int64_t steps = 0;
    double seconds = 0;  ///< rank 0's, on all ranks
    double loss = 0;     ///< of the last step
  };
  /// Called on all ranks before the first block (with no steps) and after each: the steps of the next one, 0 to end the run. What it
  /// does itself is not timed. Every rank must give the same.
  using Next = std::function<std::int64_t(const Block& done)>;

  Stopwatch(Communicator& ranks, Next next) : ranks_(ranks), next_(std::move(next)) {}

  void on_run_begin(LoopRequest& request) override { start({}, request); }
  void on_step_end(const StepInfo& info, LoopRequest& request) override;

 private:
  using Clock = std::chrono::steady_clock;
  void start(const Block& done, LoopRequest& request);

  Communicator& ranks_;
  Next next_;
  std::int64_t steps_ = 0, left_ = 0;
  Clock::time_point start_;
};

}  // namespace lockstep
