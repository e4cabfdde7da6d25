#include "core/train/run_state.h"

#include <fmt/format.h>

namespace lockstep {

void RunState::visit(StateVisitor& visitor) {
  {
    const StatePart part(visitor, "run");
    visitor.integer("seed", seed);
    visitor.integer("step", step);
    visitor.integer("updates", updates);
    visitor.integer("epoch", epoch);
    visitor.integer("epoch_position", epoch_position);
    visitor.real("loss_scale", loss_scale);
    if (loss_scale_streak) visitor.integer("loss_scale_streak", *loss_scale_streak);
    visitor.real("epoch_loss_sum", epoch_loss_sum);
    visitor.real("epoch_weight_sum", epoch_weight_sum);
  }
  {
    const StatePart part(visitor, "fitted");
    for (auto& [name, values] : fitted) visitor.reals(name, values);
  }
  store.visit(visitor);
  for (MirroredTensor& tensor : carried) tensor.download();
  {
    const StatePart part(visitor, "carried");
    const auto& states = store.plan().states;
    for (std::size_t i = 0; i < states.size(); ++i)
      if (states[i].spec.scope == StateScope::batch_position) visitor.positional(states[i].name, carried[i].view(), first_row, total_rows);
  }
  {
    const StatePart part(visitor, "schedule");
    schedule.visit(visitor);
  }
  const StatePart part(visitor, "callbacks");
  for (std::size_t i = 0; i < callbacks.size(); ++i) {
    const StatePart one(visitor, fmt::format("{}", i));
    callbacks[i]->visit(visitor);
  }
}

void RunState::commit() {
  store.commit();
  for (MirroredTensor& tensor : carried) tensor.upload();
}

std::vector<MirroredTensor> make_carried(const Plan& plan, std::int64_t rows, Device& device) {
  std::vector<MirroredTensor> result;
  for (const PlanState& state : plan.states) {
    const TensorSpec spec{state.spec.spec.shape.with_leading(rows), state.spec.spec.dtype};
    result.push_back(state.spec.scope == StateScope::batch_position ? MirroredTensor(device, spec, state.name) : MirroredTensor());
  }
  return result;
}

std::vector<void*> on_device(const std::vector<MirroredTensor>& tensors) {
  std::vector<void*> result;
  for (const MirroredTensor& tensor : tensors) result.push_back(tensor.device());
  return result;
}

}  // namespace lockstep
