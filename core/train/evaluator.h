#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device/mirrored.h"
#include "core/train/program.h"
#include "core/train/recorder.h"

namespace lockstep {

/// Runs an evaluation program over a whole source, each sample exactly once.
class Evaluator {
 public:
  Evaluator(std::shared_ptr<const Plan> plan, Backend& backend, RunMode mode, RankShare share, StatisticsReducer& statistics);

  /// "loss" and every metric of the graph, over all samples of all ranks. Collective.
  std::map<std::string, double> run(BatchSource& source, ParameterView weights, std::span<void* const> states);

  /// Hands this rank's rows of the model's output to `take`, batch by batch. Collective.
  using TakeOutput = std::function<void(const BatchSlot& slot, ConstTensorView output)>;
  void predict(BatchSource& source, ParameterView weights, std::span<void* const> states, const TakeOutput& take);

  Program& program() { return *program_; }
  /// Before the ranks that recordings speak to take leave of each other.
  void forget_recordings() { recorder_.clear(); }

 private:
  void each_batch(BatchSource& source, ParameterView weights, std::span<void* const> states, const std::function<void(const BatchSlot&)>& after);

  std::shared_ptr<const Plan> plan_;  // shared with the training program and the store
  Device& device_;
  std::vector<MirroredTensor> carried_;
  std::unique_ptr<Program> program_;
  Recorder recorder_;  ///< last: recordings use all of the above
};

}  // namespace lockstep
