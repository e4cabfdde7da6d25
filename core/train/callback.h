#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/registry.h"
#include "core/model/state_visitor.h"

namespace lockstep {

/// Values are reduced over all ranks, so every rank sees the same ones and decides alike.
struct StepInfo {
  std::int64_t step = 0;  ///< batches consumed, this one included
  std::int64_t total_steps = 0;
  std::int64_t epoch = 0;  ///< of this batch, from 0
  std::int64_t epoch_step = 0, steps_per_epoch = 0;
  std::int64_t samples = 0;  ///< of this batch
  double loss = 0, learning_rate = 0, momentum = 0, gradient_norm = 0;
  double step_seconds = 0, input_seconds = 0;  ///< wall time, and the part spent waiting for input; local, for show
  bool updated = true;                         ///< false where the update was skipped
  double loss_scale = 1;                       ///< of this step; 1 where the loss is not scaled
};

struct EpochInfo {
  std::int64_t step = 0, total_steps = 0, epoch = 0;  ///< epoch: the one just ended, from 0
  std::map<std::string, double> metrics;              ///< "train.loss", "validation.accuracy", ...
  double seconds = 0;                                 ///< wall time of the epoch's training
  std::int64_t samples = 0;
};

/// What a callback may ask of the loop; taken on reduced values, so alike on all ranks.
struct LoopRequest {
  bool stop = false;
  std::string reason;
  bool save = false;
  bool restore_best = false;
};

/// Watches a run. Called on every rank; what writes files or draws does so where `is_root` was given at construction.
class Callback {
 public:
  virtual ~Callback() = default;
  /// Before the first step of this call, with the state in place: a stop here takes no step.
  virtual void on_run_begin(LoopRequest&) {}
  virtual void on_step_end(const StepInfo&, LoopRequest&) {}
  virtual void on_epoch_end(const EpochInfo&, LoopRequest&) {}
  virtual void on_run_end(std::string_view outcome) { (void)outcome; }
  /// State that must survive a restart (early stopping's patience).
  virtual void visit(StateVisitor&) {}
};

}  // namespace lockstep
