#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/train/callback.h"
#include "launch/callbacks/event_file.h"

namespace lockstep {

/// The run's curves for TensorBoard: `train/step_loss`, `train/learning_rate`, `train/momentum`, `train/gradient_norm` and
/// `train/samples_per_second` by step; each metric of an epoch under its name with "/" for "." ("validation/accuracy") at
/// the epoch's last step; the run file as a text card. A resumed run opens a new file that says where it goes on.
/// Rank 0 alone.
class TensorBoard : public Callback {
 public:
  struct Options {
    std::string directory;
    std::string run_text;                ///< the resolved run file
    std::int64_t resumed_step = 0;       ///< 0: a new run
    std::int64_t every_steps = 10;       ///< also the first step of this process
    std::function<double()> clock = {};  ///< seconds since 1970; default: the system's clock
  };

  explicit TensorBoard(Options options);

  void on_step_end(const StepInfo& info, LoopRequest& request) override;
  void on_epoch_end(const EpochInfo& info, LoopRequest& request) override;

 private:
  Options options_;
  EventFile file_;
  bool first_ = true;
};

}  // namespace lockstep
