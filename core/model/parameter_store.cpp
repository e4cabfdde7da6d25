#include "core/model/parameter_store.h"

#include <atomic>
#include <cstring>

#include "core/base/hash.h"
#include "core/base/philox.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

std::size_t arena_bytes(const Plan& plan) { return static_cast<std::size_t>(plan.arena_elements) * sizeof(float); }

void fill_state(MirroredTensor& tensor, double initial) {
  const TensorSpec& spec = tensor.spec();
  require(spec.dtype == Dtype::f32 || initial == 0.0, "a state of {} starts at zero", name_of(spec.dtype));
  if (initial == 0.0) return;
  for (std::int64_t i = 0; i < spec.elements(); ++i) tensor.as<float>()[i] = static_cast<float>(initial);
}

}  // namespace

std::uint64_t ParameterStore::next_version() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

ParameterStore::ParameterStore(std::shared_ptr<const Plan> plan, std::uint64_t seed, std::vector<std::string> slots, Device& device)
    : plan_(std::move(plan)),
      device_(device),
      parameters_(device, arena_bytes(*plan_), "parameters"),
      gradients_(device, arena_bytes(*plan_), "gradients"),
      slot_names_(std::move(slots)) {
  for (const std::string& name : slot_names_) slots_.emplace_back(device, arena_bytes(*plan_), name);
  for (const PlanParameter& parameter : plan_->parameters) {
    const std::span<float> values(this->parameters() + parameter.offset, static_cast<std::size_t>(parameter.spec.shape.elements()));
    const std::uint64_t key = random_key(seed, RandomPurpose::initialize, hash_text(parameter.name));
    make_plug_in<Initializer>(parameter.spec.initializer)->fill(values, parameter.spec.fan_in, parameter.spec.fan_out, key);
  }
  for (const PlanState& state : plan_->states) {
    states_.push_back(state.spec.scope == StateScope::run ? MirroredTensor(device, state.spec.spec, state.name) : MirroredTensor());
    if (state.spec.scope == StateScope::run) fill_state(states_.back(), state.spec.initial);
  }
  commit();
}

std::vector<float*> ParameterStore::device_slots() {
  std::vector<float*> result;
  for (const MirroredBuffer& slot : slots_) result.push_back(reinterpret_cast<float*>(slot.device()));
  return result;
}

std::vector<void*> ParameterStore::device_states() {
  std::vector<void*> result;
  for (const MirroredTensor& state : states_) result.push_back(state.device());
  return result;
}

std::vector<float> ParameterStore::download_gradients() {
  std::vector<float> result(gradients_.bytes() / sizeof(float));
  const StreamView stream = device_.stream(Queue::kMain);
  device_.copy(result.data(), gradients_.data(), gradients_.bytes(), stream);
  device_.wait(stream);
  return result;
}

void ParameterStore::download() {
  parameters_.download();
  for (MirroredBuffer& slot : slots_) slot.download();
  for (MirroredTensor& state : states_) state.download();
}

void ParameterStore::commit() {
  parameters_.upload();
  for (MirroredBuffer& slot : slots_) slot.upload();
  for (MirroredTensor& state : states_) state.upload();
  changed();
}

void ParameterStore::show_weights(StateVisitor& visitor) {
  {
    const StatePart part(visitor, "parameters");
    for (const PlanParameter& parameter : plan_->parameters)
      visitor.tensor(parameter.name, {parameters() + parameter.offset, {parameter.spec.shape, Dtype::f32}});
  }
  const StatePart part(visitor, "states");
  for (std::size_t i = 0; i < states_.size(); ++i)
    if (plan_->states[i].spec.scope == StateScope::run) visitor.tensor(plan_->states[i].name, states_[i].view());
}

void ParameterStore::visit_weights(StateVisitor& visitor) {
  download();
  show_weights(visitor);
}

void ParameterStore::visit(StateVisitor& visitor) {
  download();
  show_weights(visitor);
  const StatePart part(visitor, "optimizer");
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    const StatePart slot(visitor, slot_names_[s]);
    for (const PlanParameter& parameter : plan_->parameters)
      visitor.tensor(parameter.name, {reinterpret_cast<float*>(slots_[s].host()) + parameter.offset, {parameter.spec.shape, Dtype::f32}});
  }
}

}  // namespace lockstep
