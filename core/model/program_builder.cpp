#include "core/model/program_builder.h"

#include <algorithm>

#include "core/base/error.h"

namespace lockstep {
namespace {

template <class Table>
int find_entry(const Table& table, int node, int index) {
  int seen = 0;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table[i].node == node && seen++ == index) return static_cast<int>(i);
  fail(ErrorKind::internal, "node {} has no entry {} in a table of the plan", node, index);
}

bool writes_nothing(const Instruction& instruction) {
  return !instruction.writes.empty() && std::ranges::all_of(instruction.writes, [](const PlanOperand& w) { return w.mode == WriteMode::skip; });
}

}  // namespace

ProgramBuilder::ProgramBuilder(const Plan& plan)
    : plan_(plan), graph_(*plan.graph), value_buffers_(graph_.values().size(), -1), gradient_buffers_(graph_.values().size(), -1) {
  for (std::size_t i = 0; i < graph_.inputs().size(); ++i) {
    const int value = graph_.inputs()[i];
    const GraphValue& input = graph_.values()[static_cast<std::size_t>(value)];
    value_buffers_[static_cast<std::size_t>(value)] = add_buffer(input.name, input.spec, Placement::slot, static_cast<std::int64_t>(i));
  }
  saved_buffers_.resize(graph_.nodes().size());
}

int ProgramBuilder::add_buffer(std::string name, const TensorSpec& spec, Placement placement, std::int64_t slot) {
  program_.buffers.push_back({.name = std::move(name), .spec = spec, .placement = placement, .offset = slot});
  return static_cast<int>(program_.buffers.size()) - 1;
}

PlanProgram ProgramBuilder::training() {
  find_gradient_needs();
  forward(true);
  backward();
  flush_reduces();
  cut_segments(program_);
  place_buffers(program_, -1);
  program_.bucket_ready.assign(plan_.buckets.size(), 0);
  for (std::size_t s = 0; s < program_.segments.size(); ++s)
    for (int i = program_.segments[s].first; i < program_.segments[s].last; ++i)
      for (const PlanOperand& write : program_.instructions[static_cast<std::size_t>(i)].writes)
        if (write.role == PlanRole::gradient)
          program_.bucket_ready[static_cast<std::size_t>(plan_.parameters[static_cast<std::size_t>(write.index)].bucket)] = static_cast<int>(s);
  return std::move(program_);
}

PlanProgram ProgramBuilder::evaluation(int& output_buffer) {
  forward(false);
  flush_reduces();
  cut_segments(program_);
  output_buffer = graph_.output() >= 0 ? value_buffers_[static_cast<std::size_t>(graph_.output())] : -1;
  place_buffers(program_, output_buffer);
  return std::move(program_);
}

void ProgramBuilder::forward(bool training) {
  for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
    const GraphNode& node = graph_.nodes()[n];
    for (const int value : node.outputs) {
      const GraphValue& v = graph_.values()[static_cast<std::size_t>(value)];
      value_buffers_[static_cast<std::size_t>(value)] = add_buffer(v.name, v.spec);
    }
    for (std::size_t i = 0; i < node.spec.saved.size(); ++i)
      saved_buffers_[n].push_back(add_buffer(fmt::format("{}.saved{}", node.name, i), node.spec.saved[i]));
    const bool train_phases = training && node.role != NodeRole::metric;
    for (const Phase& phase : train_phases ? node.spec.forward : node.spec.evaluate) emit(static_cast<int>(n), phase);
  }
}

void ProgramBuilder::find_gradient_needs() {
  wants_gradient_.assign(graph_.values().size(), false);
  for (const GraphNode& node : graph_.nodes()) {
    const bool wanted = !node.spec.parameters.empty() ||
                        std::ranges::any_of(node.inputs, [&](int value) { return wants_gradient_[static_cast<std::size_t>(value)]; });
    for (const int value : node.outputs) wants_gradient_[static_cast<std::size_t>(value)] = wanted;
  }
}

void ProgramBuilder::backward() {
  for (int n = static_cast<int>(graph_.nodes().size()) - 1; n >= 0; --n)
    if (needs_backward(n)) node_backward(n);
}

bool ProgramBuilder::needs_backward(int n) const {
  const GraphNode& node = graph_.nodes()[static_cast<std::size_t>(n)];
  if (node.role == NodeRole::loss) return true;
  return std::ranges::any_of(node.outputs, [&](int value) { return gradient_buffers_[static_cast<std::size_t>(value)] >= 0; });
}

void ProgramBuilder::node_backward(int n) {
  const GraphNode& node = graph_.nodes()[static_cast<std::size_t>(n)];
  if (node.role == NodeRole::layer) {
    for (const int value : node.outputs) {
      if (gradient_buffers_[static_cast<std::size_t>(value)] >= 0) continue;
      // Some outputs feed the loss and this one does not: its gradient is zero.
      Instruction zero{.kind = PhaseKind::rows, .op = "gradient.zero", .node = n};
      zero.writes.push_back({PlanRole::buffer, gradient_of(value), WriteMode::overwrite});
      program_.instructions.push_back(std::move(zero));
    }
  }
  for (const Phase& phase : node.spec.backward) emit(n, phase);
}

int ProgramBuilder::gradient_of(int value) {
  int& buffer = gradient_buffers_[static_cast<std::size_t>(value)];
  if (buffer < 0) {
    const GraphValue& v = graph_.values()[static_cast<std::size_t>(value)];
    buffer = add_buffer("d " + v.name, v.spec);
  }
  return buffer;
}

PlanOperand ProgramBuilder::translate(int n, const Operand& operand) {
  const GraphNode& node = graph_.nodes()[static_cast<std::size_t>(n)];
  const auto at = static_cast<std::size_t>(operand.index);
  const int owner = node.shares >= 0 ? node.shares : n;
  switch (operand.role) {
    case Role::input: return {PlanRole::buffer, value_buffers_[static_cast<std::size_t>(node.inputs.at(at))]};
    case Role::output: return {PlanRole::buffer, value_buffers_[static_cast<std::size_t>(node.outputs.at(at))]};
    case Role::output_gradient: return {PlanRole::buffer, gradient_of(node.outputs.at(at))};
    case Role::input_gradient: return {PlanRole::buffer, gradient_of(node.inputs.at(at))};
    case Role::saved: return {PlanRole::buffer, saved_buffers_[static_cast<std::size_t>(n)].at(at)};
    case Role::parameter: return {PlanRole::parameter, find_entry(plan_.parameters, owner, operand.index)};
    case Role::parameter_gradient: return {PlanRole::gradient, find_entry(plan_.parameters, owner, operand.index)};
    case Role::state: return {PlanRole::state, find_entry(plan_.states, n, operand.index)};
    case Role::statistic: return {PlanRole::statistic, find_entry(plan_.statistics, n, operand.index)};
  }
  fail(ErrorKind::internal, "unknown role");
}

void ProgramBuilder::write_input_gradient(int n, const Operand& operand, Instruction& instruction, std::vector<Instruction>& after) {
  const int value = graph_.nodes()[static_cast<std::size_t>(n)].inputs.at(static_cast<std::size_t>(operand.index));
  if (!wants_gradient_[static_cast<std::size_t>(value)]) {
    instruction.writes.push_back({PlanRole::buffer, -1, WriteMode::skip});
    return;
  }
  const bool fresh = gradient_buffers_[static_cast<std::size_t>(value)] < 0;
  const int buffer = gradient_of(value);
  // One phase may write two gradients of the same value; the second must not meet the first in one kernel.
  const bool twice = std::ranges::any_of(instruction.writes, [&](const PlanOperand& w) { return w.role == PlanRole::buffer && w.index == buffer; });
  if (fresh || (operand.can_accumulate && !twice)) {
    instruction.writes.push_back({PlanRole::buffer, buffer, fresh ? WriteMode::overwrite : WriteMode::accumulate});
    return;
  }
  const GraphValue& v = graph_.values()[static_cast<std::size_t>(value)];
  const int part = add_buffer("part of d " + v.name, v.spec);
  instruction.writes.push_back({PlanRole::buffer, part, WriteMode::overwrite});
  Instruction add{.kind = PhaseKind::rows, .op = "gradient.add", .node = n};
  add.reads.push_back({PlanRole::buffer, part});
  add.writes.push_back({PlanRole::buffer, buffer, WriteMode::accumulate});
  after.push_back(std::move(add));
}

void ProgramBuilder::emit(int n, const Phase& phase) {
  Instruction instruction{.kind = phase.kind, .op = phase.op, .node = n, .attributes = phase.attributes, .operations = phase.operations, .reduce = phase.reduce, .group_lanes = phase.group_lanes};
  std::vector<Instruction> after;
  for (const Operand& operand : phase.reads) instruction.reads.push_back(translate(n, operand));
  for (const Operand& operand : phase.writes) {
    if (operand.role == Role::input_gradient)
      write_input_gradient(n, operand, instruction, after);
    else
      instruction.writes.push_back(translate(n, operand));
  }
  if (phase.kind == PhaseKind::reduce) {
    pending_reduces_.push_back(std::move(instruction));
    return;
  }
  if (writes_nothing(instruction)) return;
  if (phase.kind == PhaseKind::once) {
    int group_lanes = 0;
    for (const PlanOperand& read : instruction.reads)
      if (read.role == PlanRole::statistic) group_lanes = plan_.statistics[static_cast<std::size_t>(read.index)].group_lanes;
    const int lanes = plan_.options.lanes;
    instruction.attributes.set("groups", static_cast<std::int64_t>(group_lanes > 0 ? (lanes + group_lanes - 1) / group_lanes : 1));
  }
  flush_reduces_read_by(instruction);
  program_.instructions.push_back(std::move(instruction));
  for (Instruction& add : after) program_.instructions.push_back(std::move(add));
}

void ProgramBuilder::flush_reduces_read_by(const Instruction& instruction) {
  for (const Instruction& reduce : pending_reduces_)
    for (const PlanOperand& written : reduce.writes)
      for (const PlanOperand& read : instruction.reads)
        if (read.role == PlanRole::statistic && read.index == written.index) {
          // All that waits travels in one collective.
          flush_reduces();
          return;
        }
}

void ProgramBuilder::flush_reduces() {
  for (Instruction& reduce : pending_reduces_) program_.instructions.push_back(std::move(reduce));
  pending_reduces_.clear();
}

}  // namespace lockstep
