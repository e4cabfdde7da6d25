#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/parameter_store.h"
#include "core/model/state_visitor.h"
#include "core/train/callback.h"
#include "core/train/schedule.h"

namespace lockstep {

/// Everything that must survive a run, behind one `visit`.
struct RunState {
  ParameterStore& store;
  Schedule& schedule;
  std::vector<Callback*> callbacks;  ///< not owned

  std::int64_t seed = 0;
  std::int64_t step = 0;     ///< batches consumed
  std::int64_t updates = 0;  ///< updates applied
  std::int64_t epoch = 0;
  std::int64_t epoch_position = 0;  ///< samples consumed in this epoch
  double loss_scale = 1.0;  ///< of a dynamic scale; 1 where the scale is static, since it is then no state
  std::optional<std::int64_t> loss_scale_streak;  ///< LossScale::streak; set where the scale is dynamic
  /// Sums of the current epoch, so that a resumed epoch reports the same means.
  double epoch_loss_sum = 0, epoch_weight_sum = 0;

  /// What was fitted on the training data ("input.mean"): it travels with the weights, so that `predict` takes raw rows.
  std::map<std::string, std::vector<double>> fitted;

  std::vector<MirroredTensor> carried;  ///< batch-position states of this rank, by plan state index
  std::int64_t first_row = 0, total_rows = 0;

  void visit(StateVisitor& visitor);
  /// After a visitor has written: brings what it wrote to the device.
  void commit();
};

/// Zeroed batch-position states for `rows` rows of this rank, by plan index; empty tensors elsewhere.
std::vector<MirroredTensor> make_carried(const Plan& plan, std::int64_t rows, Device& device = host_device());
/// Their places on the device.
std::vector<void*> on_device(const std::vector<MirroredTensor>& tensors);

}  // namespace lockstep
