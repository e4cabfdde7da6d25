#include "core/train/training_step.h"

#include <algorithm>
#include <cmath>

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

std::string_view name_of(const Clipping* clipping) {
  if (!clipping) return "none";
  switch (clipping->scope()) {
    case Clipping::Scope::global: return "global";
    case Clipping::Scope::tensor: return "tensor";
    case Clipping::Scope::element: return "element";
  }
  return "";
}

const TensorSpec kFloats{Shape{}, Dtype::f32}, kDoubles{Shape{}, Dtype::f64};

std::unique_ptr<Kernel> update_kernel(const TrainingStep::Parts& parts, double weight_decay) {
  OpSpec spec{.op = parts.optimizer.op(), .layer = "optimizer", .kind = PhaseKind::once, .attributes = parts.optimizer.attributes()};
  spec.reads = {{Role::parameter_gradient, kFloats}, {Role::statistic, kFloats}, {Role::statistic, kFloats}};
  spec.writes.assign(1 + parts.optimizer.slots().size(), {Role::parameter, kFloats});
  spec.attributes.set("weight_decay", weight_decay);
  const bool by_value = parts.clipping && parts.clipping->scope() == Clipping::Scope::element;
  spec.attributes.set("clip_value", by_value ? parts.clipping->bound() : 0.0);
  return parts.backend.make(spec);
}

std::unique_ptr<Kernel> squares_kernel(const TrainingStep::Parts& parts) {
  return parts.backend.make({.op = "step.squares",
                             .layer = "optimizer",
                             .kind = PhaseKind::once,
                             .reads = {{Role::parameter_gradient, kFloats}, {Role::statistic, kFloats}},
                             .writes = {{Role::statistic, kDoubles}}});
}

std::unique_ptr<Kernel> decide_kernel(const TrainingStep::Parts& parts) {
  OpSpec spec{.op = "step.decide", .layer = "optimizer", .kind = PhaseKind::once};
  spec.reads.assign(2 + parts.plan->loss_statistics.size() + 1, {Role::statistic, kDoubles});
  spec.writes.assign(3, {Role::statistic, kDoubles});
  spec.attributes = {{"scope", std::string(name_of(parts.clipping))},
                     {"bound", parts.clipping ? parts.clipping->bound() : 0.0},
                     {"losses", static_cast<std::int64_t>(parts.plan->loss_statistics.size())}};
  return parts.backend.make(spec);
}

}  // namespace

TrainingStep::TrainingStep(const Parts& parts)
    : parts_(parts),
      device_(parts.backend.device()),
      program_(Program::bind({.plan = parts.plan,
                              .kind = Program::Kind::training,
                              .backend = parts.backend,
                              .mode = parts.mode,
                              .share = parts.share,
                              .statistics = parts.statistics,
                              .gradients = &parts.gradients})),
      squares_kernel_(squares_kernel(parts)),
      decide_kernel_(decide_kernel(parts)),
      update_kernels_{update_kernel(parts, parts.optimizer.weight_decay()), update_kernel(parts, 0.0)},
      blocks_(on_device(parts.plan->blocks)),
      squares_(device_, parts.plan->blocks.size() * sizeof(double), "squared norms"),
      scales_(device_, parts.plan->parameters.size() * sizeof(float), "scales of tensors"),
      outcome_(device_, sizeof(StepOutcome), "outcome of a step"),
      outcome_staging_(device_, sizeof(StepOutcome)),
      recorder_(device_) {
  const auto& excluded = parts.optimizer.no_decay();
  std::array<std::vector<Block>, 2> groups;
  for (const Block& block : parts.plan->blocks) {
    const ParameterKind kind = parts.plan->parameters[static_cast<std::size_t>(block.parameter)].spec.kind;
    groups[std::ranges::count(excluded, name_of(kind)) > 0 ? 1 : 0].push_back(block);
  }
  for (std::size_t g = 0; g < groups.size(); ++g) updated_[g] = on_device(groups[g]);
}

TrainingStep::Blocks TrainingStep::on_device(const std::vector<Block>& blocks) const {
  Blocks result{static_cast<std::int64_t>(blocks.size()), DeviceBuffer(device_, blocks.size() * sizeof(Block), "table of blocks")};
  const StreamView main = device_.stream(Queue::kMain);
  device_.copy(result.memory.data(), blocks.data(), result.memory.bytes(), main);
  device_.wait(main);
  return result;
}

void TrainingStep::profile(Profile* profile) {
  recorder_.clear();
  profile_ = profile;
  program_->profile(profile);
  if (!profile) return;
  double elements = 0;
  for (const Block& block : parts_.plan->blocks) elements += static_cast<double>(block.elements);
  const auto slots = static_cast<double>(parts_.optimizer.slots().size());
  entries_ = {.norm = profile->add("norm", squares_kernel_->implementation(), {.bytes = elements * sizeof(float)}),
              .decide = profile->add("decide", decide_kernel_->implementation()),
              // The gradient is read; the parameter and the optimizer's slots are read and written.
              .update = profile->add("update", update_kernels_[0]->implementation(), {.bytes = elements * sizeof(float) * (3 + 2 * slots)})};
}

StepResult TrainingStep::run(const StepBlock& step, const BatchSlot& slot, std::span<void* const> carried) {
  stage(slot);
  start(step, carried);
  return finish();
}

void TrainingStep::start(const StepBlock& step, std::span<void* const> carried) {
  const std::vector<void*> states = parts_.store.device_states();
  const ProgramMemory memory{.weights = parts_.store.view(), .states = states, .carried = carried, .gradients = parts_.store.device_gradients()};
  step_number_ = step.step;
  program_->begin(step, memory);
  const std::vector<std::int64_t> signature = program_->signature(memory);
  if (profile_) profile_->begin(signature);
  recorder_.run(signature, [&] {
    program_->queue(memory);
    if (profile_) profile_->mark(Profile::kNobody);
    queue_update();
  });
  parts_.store.changed();
}

/// One call of all blocks on a wide device; on the host a task for each.
template <class Body>
void TrainingStep::each_run(const Blocks& blocks, const Body& body) const {
  if (blocks.count == 0) return;
  const Block* first = blocks.memory.as<const Block>();
  if (parts_.backend.order() == WorkOrder::by_instruction) return body(first, std::int64_t{0}, blocks.count);
  parts_.backend.parallel(static_cast<int>(blocks.count), [&](int task, int) { body(first + task, std::int64_t{task}, std::int64_t{1}); });
}

void TrainingStep::queue_update() {
  const StreamView main = device_.stream(Queue::kMain);
  const float* gradients = parts_.store.device_gradients();
  StepBlock* step = program_->step_block();
  run_piece(profile_, entries_.norm, [&] {
    each_run(blocks_, [&](const Block* blocks, std::int64_t first, std::int64_t count) {
      const void* reads[] = {gradients, blocks};
      void* writes[] = {squares_.as<double>() + first};
      squares_kernel_->run({.reads = reads, .writes = writes, .rows = count, .stream = main});
    });
  });

  std::vector<const void*> evidence = {squares_.data(), blocks_.memory.data()};
  for (const int index : parts_.plan->loss_statistics) evidence.push_back(program_->statistic_memory(index));
  evidence.push_back(program_->fault());
  void* decisions[] = {step, outcome_.data(), scales_.data()};
  run_piece(profile_, entries_.decide, [&] { decide_kernel_->run({.reads = evidence, .writes = decisions, .rows = blocks_.count, .step = step, .stream = main}); });

  const bool by_tensor = parts_.clipping && parts_.clipping->scope() == Clipping::Scope::tensor;
  std::vector<void*> writes = {parts_.store.device_parameters()};
  for (float* slot : parts_.store.device_slots()) writes.push_back(slot);
  run_piece(profile_, entries_.update, [&] {
    for (std::size_t g = 0; g < updated_.size(); ++g)
      each_run(updated_[g], [&](const Block* blocks, std::int64_t, std::int64_t count) {
        const void* reads[] = {gradients, blocks, by_tensor ? scales_.data() : nullptr};
        update_kernels_[g]->run({.reads = reads, .writes = writes, .rows = count, .step = step, .stream = main});
      });
  });
  device_.copy(outcome_staging_.data(), outcome_.data(), sizeof(StepOutcome), main);
}

StepResult TrainingStep::finish() {
  device_.wait(device_.stream(Queue::kMain));
  if (profile_) profile_->finish();
  const StepOutcome& outcome = *outcome_staging_.as<const StepOutcome>();
  if (outcome.fault > 0)
    fail(ErrorKind::content, "step {}: batch row {}: a label outside the classes of the model", step_number_ + 1, outcome.fault - 1);
  StepResult result{.loss_sum = outcome.loss_sum, .weight_sum = outcome.weight_sum, .gradient_norm = outcome.gradient_norm, .updated = outcome.finite != 0};
  result.loss = result.weight_sum > 0 ? result.loss_sum / result.weight_sum : 0.0;
  if (result.updated || parts_.overflow == Overflow::is_skipped) return result;
  const bool by_loss = !std::isfinite(result.loss);
  fail(ErrorKind::internal, "step {}: the {} is {}: the run diverged; lower the learning rate or clip, and resume from the last checkpoint", step_number_ + 1,
       by_loss ? "loss" : "gradient's norm", by_loss ? result.loss : result.gradient_norm);
}

}  // namespace lockstep
