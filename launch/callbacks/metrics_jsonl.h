#pragma once

#include <cstdint>
#include <string>

#include "core/train/callback.h"
#include "launch/callbacks/line_file.h"

namespace lockstep {

/// The run's metrics as JSON lines, the source of truth: `{"step":1,"epoch":0,"event":"step","loss":...}` after a step
/// and `{..."event":"epoch","metrics":{...}}` after an epoch. Wall times lie in `"wall"`; without it a resumed run leaves
/// the same file as one that ran through. A value that is no number is null. Rank 0 alone.
class MetricsJsonl : public Callback {
 public:
  struct Options {
    std::string path;
    std::int64_t resumed_step = 0;  ///< 0: a new run, from an empty file
    std::int64_t every_steps = 1;
  };

  explicit MetricsJsonl(Options options);

  void on_step_end(const StepInfo& info, LoopRequest& request) override;
  void on_epoch_end(const EpochInfo& info, LoopRequest& request) override;

 private:
  Options options_;
  LineFile file_;
};

}  // namespace lockstep
