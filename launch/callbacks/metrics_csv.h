#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/train/callback.h"
#include "launch/callbacks/line_file.h"

namespace lockstep {

/// The run's metrics as a table: columns `step,epoch,event,loss,learning_rate,momentum,gradient_norm,samples,updated`,
/// then one for each metric of an epoch, then `seconds,input_seconds`. A row after a step (`event` is "step"), one after
/// an epoch ("epoch"); what a row has not stays empty. Steps count from 1, epochs from 0. Numbers read back to the same
/// bits. But for the last two columns (wall time) a run that was resumed leaves the same file as one that was not:
/// rows after `resumed_step` are cut off at the start. Rank 0 alone.
class MetricsCsv : public Callback {
 public:
  struct Options {
    std::string path;
    std::vector<std::string> metrics;  ///< "validation.loss", ...: those of an epoch; others are left to the JSON file
    std::int64_t resumed_step = 0;     ///< 0: a new run, from an empty file
    std::int64_t every_steps = 1;
  };

  explicit MetricsCsv(Options options);

  void on_step_end(const StepInfo& info, LoopRequest& request) override;
  void on_epoch_end(const EpochInfo& info, LoopRequest& request) override;

 private:
  Options options_;
  std::vector<std::string> columns_;
  LineFile file_;
};

}  // namespace lockstep
