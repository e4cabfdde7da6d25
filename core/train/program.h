#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/model/parameter_store.h"
#include "core/model/plan.h"
#include "core/train/batch_source.h"
#include "core/train/reduction.h"

namespace lockstep {

/// `exact`: sums follow the lane tree, bits do not depend on ranks or threads. `fast`: each thread takes its samples
/// in one piece and libraries add in their own order; equal to rounding.
enum class RunMode : std::uint8_t { exact, fast };

/// What binding needs to know of the place of this rank.
struct RankShare {
  LaneSpan lanes;  ///< this rank's, of plan.options.lanes
};

/// Wall seconds by kind of work, summed since construction: for `--profile` and the benchmarks.
using TimeByOp = std::map<std::string, double>;

/// A plan's program bound to a backend: kernels chosen, memory taken. `run` executes one batch on this rank.
class Program {
 public:
  enum class Kind { training, evaluation };

  Program(std::shared_ptr<const Plan> plan, Kind kind, Backend& backend, RunMode mode, RankShare share, StatisticsReducer& statistics,
          GradientSynchronizer* gradients);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Runs the batch in `slot`. Training leaves the reduced gradients in `gradients` (arena) and updates run-scope
  /// states in place. Collective. `weights` are the parameters to use; `states` the run-scope states and `carried` this
  /// rank's rows of the batch-position ones, both by plan index.
  void run(const StepBlock& step, const BatchSlot& slot, ParameterView weights, std::vector<Tensor>& states, std::vector<Tensor>& carried,
           float* gradients);

  /// After `run`: the reduced total of a statistic (its first group).
  std::span<const double> statistic(int index) const;
  /// After an evaluation `run`: this rank's rows of the model's output.
  ConstTensorView output() const;

  std::size_t activation_bytes() const;
  /// Which kernel serves each instruction, in order.
  std::vector<std::string> implementations() const;
  const TimeByOp& times() const;
  void profile(bool on);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
