#pragma once

#include <memory>
#include <vector>

#include "core/train/clipping.h"
#include "core/train/optimizer.h"
#include "core/train/program.h"

namespace lockstep {

/// What one step of training gave, equal on every rank.
struct StepResult {
  double loss = 0;        ///< weighted mean over the global batch
  double loss_sum = 0;    ///< sum of loss * weight
  double weight_sum = 0;  ///< sum of weight
  double gradient_norm = 0;
  bool updated = true;
};

/// One optimizer step in its fixed order: forward, backward and reduced gradients; unscale; check finite; global norm;
/// clip; update. References must outlive it.
class TrainingStep {
 public:
  struct Parts {
    std::shared_ptr<const Plan> plan;  // shared with the store and the programs
    Backend& backend;
    RunMode mode = RunMode::exact;
    RankShare share;
    StatisticsReducer& statistics;
    GradientSynchronizer& gradients;
    const Optimizer& optimizer;
    const Clipping* clipping = nullptr;  ///< may be null
    ParameterStore& store;
  };

  explicit TrainingStep(const Parts& parts);

  /// Collective. `internal` error when the loss or the gradients are not finite; the parameters are then untouched.
  StepResult run(const StepBlock& step, const BatchSlot& slot, std::vector<Tensor>& carried);

  Program& program() { return program_; }

 private:
  double squared_norms();
  void update(StepBlock& step, double global_norm);

  Parts parts_;
  Program program_;
  std::unique_ptr<Kernel> decayed_, undecayed_;
  std::vector<bool> decays_;          ///< by parameter
  std::vector<double> block_squares_;  ///< by block: the sum of squares of its gradient
};

}  // namespace lockstep
