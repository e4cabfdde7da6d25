#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/train/batch_source.h"
#include "core/train/callback.h"
#include "core/train/loss_scaler.h"
#include "core/train/run_state.h"
#include "core/train/training_step.h"
#include "distributed/communicator.h"

namespace lockstep {

/// Why the loop ended.
enum class Outcome {
  finished,       ///< all epochs, or an early stop
  reached_steps,  ///< `train.steps`: the rest may be run later
  interrupted,    ///< asked to stop by a signal or `train.max_time`, with the state saved
};

struct LoopSettings {
  std::int64_t epochs = 1;
  std::int64_t stop_at_step = 0;     ///< 0: never before the last epoch
  double max_seconds = 0;            ///< 0: no limit
  std::int64_t save_every_steps = 0;   ///< 0: not by steps
  std::int64_t save_every_epochs = 1;  ///< 0: not by epochs
  std::string save_with;  ///< a metric: the weights that it was measured of are saved, so that the best ones can be kept
  std::int64_t evaluate_every_epochs = 1;
  double peak_learning_rate = 0;
  double momentum = 0;  ///< where no schedule moves it
  std::int64_t global_batch = 0;
  LossScaling loss_scaling;
};

/// The training loop: batch, step, callbacks, evaluation at the end of an epoch, checkpoints. Every decision is taken
/// on values that are equal on all ranks. With a dynamic loss scale a step that did not update (StepResult::updated) counts
/// as a batch and no update, and halves the scale; `internal` error once smaller scales do not help. References must outlive it.
class TrainingLoop {
 public:
  using Metrics = std::map<std::string, double>;
  struct Parts {
    BatchSource& source;
    TrainingStep& step;
    RunState& state;
    Communicator& ranks;
    std::function<Metrics()> evaluate;                   ///< "validation.loss", ...; collective; may be empty
    std::function<void(const Metrics& metrics)> save;    ///< a checkpoint of the state; collective
    std::function<void()> restore_best;                  ///< loads the best weights; collective
    std::function<bool()> stop_requested;                ///< on this rank alone, as by a signal
  };

  TrainingLoop(const LoopSettings& settings, Parts parts) : settings_(settings), parts_(std::move(parts)) {}

  /// Runs from where the state stands. Collective.
  Outcome run();
  void evaluate_with(std::function<Metrics()> evaluate) { parts_.evaluate = std::move(evaluate); }

  /// Of the last epoch that ended in `run`.
  const Metrics& metrics() const { return metrics_; }
  std::int64_t steps_per_epoch() const;
  std::int64_t total_steps() const { return steps_per_epoch() * settings_.epochs; }

 private:
  double bring(const BatchPosition& at);
  BatchPosition position() const;
  std::optional<BatchPosition> after(const BatchPosition& position) const;
  StepBlock step_block(const BatchPosition& position) const;
  float loss_scale() const;
  void move_loss_scale(const StepResult& result);
  void advance(const BatchPosition& position, const StepResult& result);
  void finish_epoch(LoopRequest& request);
  bool agree(bool mine);
  bool save_is_due(bool epoch_ended) const;

  LoopSettings settings_;
  Parts parts_;
  Metrics metrics_;  ///< of the last epoch that ended
  Metrics fresh_;    ///< the same, as long as the weights are those that were measured
  double epoch_seconds_ = 0;
};

}  // namespace lockstep
