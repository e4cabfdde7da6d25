#include "launch/bench/stopwatch.h"

namespace lockstep {

void Stopwatch::on_step_end(const StepInfo& info, LoopRequest& request) {
  if (--left_ > 0) return;
  double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  ranks_.broadcast(&seconds, sizeof(seconds), 0);
  start({.steps = steps_, .seconds = seconds, .loss = info.loss}, request);
}

void Stopwatch::start(const Block& done, LoopRequest& request) {
  steps_ = left_ = next_(done);
  request.stop = left_ == 0;
  ranks_.barrier();
  start_ = Clock::now();
}

}  // namespace lockstep
