#include "core/train/training_step.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/backend/step_math.h"

namespace lockstep {
namespace {

std::string_view name_of(ParameterKind kind) {
  switch (kind) {
    case ParameterKind::weight: return "weight";
    case ParameterKind::bias: return "bias";
    case ParameterKind::norm: return "norm";
  }
  return "";
}

std::unique_ptr<Kernel> update_kernel(const TrainingStep::Parts& parts, double weight_decay) {
  const TensorSpec element{Shape{}, Dtype::f32};
  OpSpec spec{.op = parts.optimizer.op(), .layer = "optimizer", .kind = PhaseKind::once, .attributes = parts.optimizer.attributes()};
  spec.reads = {{Role::parameter_gradient, element}, {Role::statistic, element}, {Role::statistic, element}};
  spec.writes.assign(1 + parts.optimizer.slots().size(), {Role::parameter, element});
  spec.attributes.set("weight_decay", weight_decay);
  const bool by_value = parts.clipping && parts.clipping->scope() == Clipping::Scope::element;
  spec.attributes.set("clip_value", by_value ? parts.clipping->bound() : 0.0);
  return parts.backend.make(spec);
}

/// Eight interleaved sums, then a fixed tree: the same bits for a block wherever it is computed.
double sum_of_squares(const float* values, std::int64_t count) {
  double sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int k = 0; k < 8; ++k) sums[k] += static_cast<double>(values[i + k]) * static_cast<double>(values[i + k]);
  for (; i < count; ++i) sums[i % 8] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace

TrainingStep::TrainingStep(const Parts& parts)
    : parts_(parts),
      program_(parts.plan, Program::Kind::training, parts.backend, parts.mode, parts.share, parts.statistics, &parts.gradients),
      decayed_(update_kernel(parts, parts.optimizer.weight_decay())),
      undecayed_(update_kernel(parts, 0.0)),
      block_squares_(parts.plan->blocks.size()) {
  const auto& excluded = parts.optimizer.no_decay();
  for (const PlanParameter& parameter : parts.plan->parameters)
    decays_.push_back(std::find(excluded.begin(), excluded.end(), name_of(parameter.spec.kind)) == excluded.end());
}

StepResult TrainingStep::run(const StepBlock& step, const BatchSlot& slot, std::vector<Tensor>& carried) {
  float* gradients = parts_.store.gradients();
  program_.run(step, slot, parts_.store.view(), parts_.store.states(), carried, gradients);
  StepResult result;
  for (const int index : parts_.plan->loss_statistics) {
    const auto totals = program_.statistic(index);
    result.loss_sum += totals[0];
    result.weight_sum = totals[1];
  }
  result.loss = result.weight_sum > 0 ? result.loss_sum / result.weight_sum : 0.0;
  if (!std::isfinite(result.loss))
    fail(ErrorKind::internal, "step {}: the loss is {}: the run diverged; lower the learning rate or clip, and resume from the last checkpoint",
         step.step + 1, result.loss);
  result.gradient_norm = std::sqrt(squared_norms()) / step.loss_scale;
  if (!std::isfinite(result.gradient_norm))
    fail(ErrorKind::internal, "step {}: the gradient's norm is {}: the run diverged; lower the learning rate or clip, and resume from the last checkpoint",
         step.step + 1, result.gradient_norm);
  StepBlock block = step;
  update(block, result.gradient_norm);
  return result;
}

double TrainingStep::squared_norms() {
  const auto& blocks = parts_.plan->blocks;
  const float* gradients = parts_.store.gradients();
  parts_.backend.parallel(static_cast<int>(blocks.size()), [&](int task, int) {
    const Block& block = blocks[static_cast<std::size_t>(task)];
    block_squares_[static_cast<std::size_t>(task)] = sum_of_squares(gradients + block.offset, block.elements);
  });
  double total = 0;
  for (const double squares : block_squares_) total += squares;
  return total;
}

void TrainingStep::update(StepBlock& step, double global_norm) {
  const auto& blocks = parts_.plan->blocks;
  std::vector<double> tensor_squares(parts_.plan->parameters.size(), 0.0);
  for (std::size_t b = 0; b < blocks.size(); ++b) tensor_squares[static_cast<std::size_t>(blocks[b].parameter)] += block_squares_[b];
  const auto scope = parts_.clipping ? parts_.clipping->scope() : Clipping::Scope::element;
  const double global_factor = scope == Clipping::Scope::global ? clip_factor(global_norm, parts_.clipping->bound()) : 1.0;
  const auto slots = parts_.store.slots();
  float* parameters = parts_.store.parameters();
  const float* gradients = parts_.store.gradients();
  parts_.backend.parallel(static_cast<int>(blocks.size()), [&](int task, int) {
    const Block& block = blocks[static_cast<std::size_t>(task)];
    const auto parameter = static_cast<std::size_t>(block.parameter);
    double factor = global_factor;
    if (scope == Clipping::Scope::tensor) factor = clip_factor(std::sqrt(tensor_squares[parameter]) / step.loss_scale, parts_.clipping->bound());
    StepBlock mine = step;
    mine.gradient_scale = static_cast<float>(factor / step.loss_scale);
    const void* reads[] = {gradients, &block, nullptr};
    std::vector<void*> writes = {parameters};
    writes.insert(writes.end(), slots.begin(), slots.end());
    (decays_[parameter] ? decayed_ : undecayed_)->run({.reads = reads, .writes = writes, .rows = 1, .step = &mine});
  });
  parts_.store.commit();
}

}  // namespace lockstep
