#include "core/train/instruction_program.h"

#include <algorithm>
#include <cstring>

namespace lockstep {

void InstructionProgram::begin(const StepBlock& step, const ProgramMemory& memory) {
  const StreamView main = device_.stream(Queue::kMain);
  input_.begin();
  StagingBuffer& staging = step_staging_[static_cast<std::size_t>(input_.current())];
  std::memcpy(staging.data(), &step, sizeof(step));
  device_.copy(step_.data(), staging.data(), sizeof(step), main);
  // A training step changes the weights, so it packs them in its recorded part; an evaluation packs when they differ.
  if (!training_ && packed_version_ != memory.weights.version) pack(memory.weights);
}

std::vector<std::int64_t> InstructionProgram::signature(const ProgramMemory& memory) const {
  std::vector<std::int64_t> result = {input_.position().samples, input_.current(), input_.kind()};
  const auto add = [&](const void* address) { result.push_back(static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(address))); };
  add(memory.weights.arena);
  add(memory.gradients);
  std::ranges::for_each(memory.states, add);
  std::ranges::for_each(memory.carried, add);
  return result;
}

void InstructionProgram::profile(Profile* profile) {
  profile_ = profile;
  if (!profile) return;
  entries_ = {};
  for (const Bound& bound : instructions_) {
    const Instruction& instruction = *bound.instruction;
    entries_.instructions.push_back(bound.kernel ? profile->add(instruction.op, bound.kernel->implementation() + bound.repeats,
                                                                work_of(*plan_, program_, instruction, capacity_rows_, static_cast<std::int64_t>(units_.size())))
                                                 : profile->add("reduce statistics", ""));
  }
  double packed = 0;
  for (const Packed& item : packed_)
    packed += static_cast<double>(item.memory.bytes()) + 4.0 * static_cast<double>(plan_->parameters[static_cast<std::size_t>(item.parameter)].spec.shape.elements());
  entries_.prepare = profile->add("prepare input", "");
  entries_.pack = profile->add("pack weights", "", {.bytes = packed});
  if (!gradients_) return;
  entries_.fold = profile->add("fold gradients", "", {.bytes = gradients_->fold_bytes()});
  entries_.wait = profile->add("wait for reduced gradients", "");
}

void InstructionProgram::queue(const ProgramMemory& memory) {
  memory_ = &memory;
  device_.zero(fault_.data(), fault_.bytes(), device_.stream(Queue::kMain));
  if (profile_) profile_->mark(Profile::kNobody);
  run_piece(profile_, entries_.prepare, [&] { input_.prepare(); });
  if (profile_) profile_->set_work(entries_.prepare, {.bytes = input_.prepared_bytes()});
  if (training_) run_piece(profile_, entries_.pack, [&] { pack(memory.weights); });
  for (const Segment& segment : program_.segments) {
    if (segment.kind == PhaseKind::reduce) {
      run_piece(profile_, entries_.instructions[static_cast<std::size_t>(segment.first)], [&] { run_reduce(segment); });
      continue;
    }
    for (int i = segment.first; i < segment.last; ++i) {
      Bound& bound = instructions_[static_cast<std::size_t>(i)];
      run_piece(profile_, entries_.instructions[static_cast<std::size_t>(i)], [&] {
        if (bound.instruction->kind == PhaseKind::rows) run_rows(bound);
        if (bound.instruction->kind == PhaseKind::per_lane) run_lanes(bound);
        if (bound.instruction->kind == PhaseKind::once) run_once(bound);
      });
      if (gradients_ && gradients_->ends(i)) run_piece(profile_, entries_.fold, [&] { gradients_->written(i, memory.gradients); });
    }
  }
  if (gradients_) run_piece(profile_, entries_.wait, [&] { gradients_->finish(); });
  memory_ = nullptr;
}

void InstructionProgram::pack(ParameterView weights) {
  const StreamView main = device_.stream(Queue::kMain);
  for (const Packed& item : packed_)
    item.kernel->pack(item.read, weights.arena + plan_->parameters[static_cast<std::size_t>(item.parameter)].offset, item.memory.data(), main);
  packed_version_ = weights.version;
}

void InstructionProgram::run_rows(Bound& bound) {
  const StreamView main = device_.stream(Queue::kMain);
  if (bound.merged) {
    for (const LaneSpan& piece : pieces_)
      if (rows_of(piece) > 0) call(bound, {.lanes = piece, .stream = main, .workspace = workspace_.data()});
    return;
  }
  for (int lane = share_.lanes.first; lane < share_.lanes.last; ++lane)
    if (rows_of({lane, lane + 1}) > 0) call(bound, {.lanes = {lane, lane + 1}, .stream = main, .workspace = workspace_.data()});
}

void InstructionProgram::run_lanes(Bound& bound) {
  const StreamView main = device_.stream(Queue::kMain);
  const int units = static_cast<int>(units_.size());
  if (mode_ == RunMode::exact && bound.kernel->takes_lanes()) {
    for (const LaneSpan& piece : pieces_)
      call(bound, {.lanes = piece, .unit = piece.first - share_.lanes.first, .units = piece.count(), .stream = main, .workspace = workspace_.data()});
    return;
  }
  const int branches = std::min(units, Queue::kBranches);
  const auto branch = [&](int b) { return branches > 1 ? device_.stream(Queue::kBranch + b) : main; };
  for (int b = 0; b < branches && branches > 1; ++b) device_.order(main, branch(b));
  for (int unit = 0; unit < units; ++unit) {
    const int b = unit % branches;
    const Call one{.lanes = units_[static_cast<std::size_t>(unit)],
                   .unit = unit,
                   .stream = branch(b),
                   .workspace = branches > 1 ? branch_workspaces_[static_cast<std::size_t>(b)].data() : workspace_.data()};
    if (rows_of(one.lanes) > 0)
      call(bound, one);
    else
      clear_results(bound, one);
  }
  for (int b = 0; b < branches && branches > 1; ++b) device_.order(branch(b), main);
}

void InstructionProgram::run_once(Bound& bound) {
  call(bound, {.lanes = {share_.lanes.first, share_.lanes.first}, .stream = device_.stream(Queue::kMain), .workspace = workspace_.data()});
}

void InstructionProgram::call(Bound& bound, const Call& call) {
  constexpr std::size_t kMost = 16;
  const Instruction& instruction = *bound.instruction;
  const void* reads[kMost];
  void* writes[kMost];
  std::int64_t strides[kMost] = {};
  require(instruction.reads.size() <= kMost && instruction.writes.size() <= kMost, "{}: more than {} operands", instruction.op, kMost);
  for (std::size_t r = 0; r < instruction.reads.size(); ++r)
    reads[r] = bound.packed[r] ? bound.packed[r] : address(instruction.reads[r], call, false);
  const int number = static_cast<int>(&bound - instructions_.data());
  for (std::size_t w = 0; w < instruction.writes.size(); ++w) {
    const PlanOperand& write = instruction.writes[w];
    if (write.role == PlanRole::gradient) {
      writes[w] = gradients_->slot(number, w, call.unit, memory_->gradients);
      strides[w] = gradients_->stride_bytes(number, w);
    } else {
      writes[w] = address(write, call, true);
      if (write.role == PlanRole::statistic) strides[w] = plan_->statistics[static_cast<std::size_t>(write.index)].size * static_cast<std::int64_t>(sizeof(double));
    }
  }
  bound.kernel->run({.reads = {reads, instruction.reads.size()},
                     .writes = {writes, instruction.writes.size()},
                     .rows = rows_of(call.lanes),
                     .first_row = rows_before(call.lanes.first),
                     .step = step_.as<const StepBlock>(),
                     .workspace = call.workspace,
                     .stream = call.stream,
                     .lanes = call.units,
                     .lane_rows = call.units > 1 ? plan_->lane_rows() : 0,
                     .lane_strides = {strides, instruction.writes.size()},
                     .fault = fault_.as<std::int64_t>()});
}

/// Lanes without samples contribute zeros.
void InstructionProgram::clear_results(Bound& bound, const Call& call) {
  const Instruction& instruction = *bound.instruction;
  const int number = static_cast<int>(&bound - instructions_.data());
  for (std::size_t w = 0; w < instruction.writes.size(); ++w) {
    const PlanOperand& write = instruction.writes[w];
    if (write.role == PlanRole::statistic)
      device_.zero(address(write, call, true), static_cast<std::size_t>(plan_->statistics[static_cast<std::size_t>(write.index)].size) * sizeof(double), call.stream);
    if (write.role == PlanRole::gradient)
      device_.zero(gradients_->slot(number, w, call.unit, memory_->gradients), gradients_->slot_bytes(number, w), call.stream);
  }
}

/// The memory of an operand: for a call's rows, or whole where it has none.
void* InstructionProgram::address(const PlanOperand& operand, const Call& call, bool is_write) {
  if (operand.mode == WriteMode::skip) return nullptr;
  const auto at = static_cast<std::size_t>(operand.index);
  const std::int64_t row = rows_before(call.lanes.first) - rows_before(share_.lanes.first);
  switch (operand.role) {
    case PlanRole::buffer: {
      const PlanBuffer& buffer = program_.buffers[at];
      const auto skip = static_cast<std::size_t>(row) * buffer.spec.bytes();
      if (buffer.placement == Placement::slot) return input_.field(static_cast<int>(buffer.offset)) + skip;
      return (buffer.placement == Placement::scratch ? scratch_ : arena_).data() + buffer.offset * layout_rows_ + skip;
    }
    case PlanRole::parameter: return const_cast<float*>(memory_->weights.arena) + plan_->parameters[at].offset;  // parameters are only read
    case PlanRole::state: {
      const PlanState& state = plan_->states[at];
      if (state.spec.scope == StateScope::run) return memory_->states[at];
      return static_cast<std::byte*>(memory_->carried[at]) + static_cast<std::size_t>(row) * state.spec.spec.bytes();
    }
    case PlanRole::statistic: {
      const PlanStatistic& statistic = plan_->statistics[at];
      const bool whole = call.lanes.count() == 0;
      if (is_write && !whole) return locals_.as<double>() + offsets_[at].local + (call.lanes.first - share_.lanes.first) * statistic.size;
      const int group = !whole && statistic.group_lanes > 0 ? call.lanes.first / statistic.group_lanes : 0;
      return result_of(operand.index) + group * statistic.size;
    }
    case PlanRole::gradient: break;
  }
  fail(ErrorKind::internal, "a gradient has no address of its own");
}

void InstructionProgram::run_reduce(const Segment& segment) {
  std::vector<StatisticPart> parts;
  for (int i = segment.first; i < segment.last; ++i) {
    const Instruction& instruction = *instructions_[static_cast<std::size_t>(i)].instruction;
    for (const PlanOperand& written : instruction.writes)
      parts.push_back({.kind = instruction.reduce,
                       .size = plan_->statistics[static_cast<std::size_t>(written.index)].size,
                       .group_lanes = instruction.group_lanes,
                       .local = locals_.as<double>() + offsets_[static_cast<std::size_t>(written.index)].local,
                       .result = result_of(written.index)});
  }
  statistics_.reduce(parts, share_.lanes, plan_->options.lanes, device_.stream(Queue::kMain));
}

std::vector<double> InstructionProgram::statistic(int index) {
  const auto size = static_cast<std::size_t>(plan_->statistics[static_cast<std::size_t>(index)].size);
  const StreamView main = device_.stream(Queue::kMain);
  device_.copy(results_staging_.data(), result_of(index), size * sizeof(double), main);
  device_.wait(main);
  const double* values = results_staging_.as<double>();
  return {values, values + size};
}

ConstTensorView InstructionProgram::output() {
  const int index = plan_->output_buffer_evaluation;
  require(index >= 0 && !training_, "only an evaluation program has an output");
  const PlanBuffer& buffer = program_.buffers[static_cast<std::size_t>(index)];
  const std::byte* from = buffer.placement == Placement::slot ? input_.field(static_cast<int>(buffer.offset))
                                                              : (buffer.placement == Placement::scratch ? scratch_ : arena_).data() + buffer.offset * layout_rows_;
  const std::size_t bytes = buffer.spec.bytes() * static_cast<std::size_t>(input_.rows());
  const StreamView main = device_.stream(Queue::kMain);
  device_.copy(output_staging_.data(), from, bytes, main);
  device_.wait(main);
  return {output_staging_.data(), {buffer.spec.shape.with_leading(input_.rows()), buffer.spec.dtype}};
}

std::vector<std::string> InstructionProgram::implementations() const {
  std::vector<std::string> result;
  for (const Bound& bound : instructions_) result.push_back(bound.kernel ? bound.kernel->implementation() + bound.repeats : "collective");
  return result;
}

}  // namespace lockstep
