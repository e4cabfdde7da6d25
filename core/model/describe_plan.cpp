#include <fmt/format.h>

#include "core/base/table.h"
#include "core/base/text.h"
#include "core/model/plan.h"

namespace lockstep {
namespace {

std::string_view kind_name(PhaseKind kind) {
  switch (kind) {
    case PhaseKind::rows: return "rows";
    case PhaseKind::per_lane: return "per lane";
    case PhaseKind::once: return "once";
    case PhaseKind::reduce: return "reduce";
  }
  return "";
}

std::string operand_text(const Plan& plan, const PlanProgram& program, const PlanOperand& operand) {
  if (operand.mode == WriteMode::skip) return "-";
  const auto at = static_cast<std::size_t>(operand.index);
  const std::string sign = operand.mode == WriteMode::accumulate ? "+" : "";
  switch (operand.role) {
    case PlanRole::buffer: return sign + program.buffers[at].name + program.buffers[at].spec.shape.text();
    case PlanRole::parameter: return plan.parameters[at].name;
    case PlanRole::gradient: return "d " + plan.parameters[at].name;
    case PlanRole::state: return plan.states[at].name;
    case PlanRole::statistic: return fmt::format("{}({})", plan.statistics[at].name, plan.statistics[at].size);
  }
  return "";
}

std::string describe_program(const Plan& plan, const PlanProgram& program, std::span<const std::string> kernels) {
  TextTable table({"#", "segment", "kind", "op", "kernel", "reads", "writes"});
  for (std::size_t s = 0; s < program.segments.size(); ++s)
    for (int i = program.segments[s].first; i < program.segments[s].last; ++i) {
      const Instruction& instruction = program.instructions[static_cast<std::size_t>(i)];
      std::vector<std::string> reads, writes;
      for (const PlanOperand& read : instruction.reads) reads.push_back(operand_text(plan, program, read));
      for (const PlanOperand& write : instruction.writes) writes.push_back(operand_text(plan, program, write));
      const std::string op = instruction.kind == PhaseKind::reduce ? (instruction.reduce == ReduceKind::moments ? "moments" : "add") : instruction.op;
      table.add({std::to_string(i), std::to_string(s), std::string(kind_name(instruction.kind)), op,
                 static_cast<std::size_t>(i) < kernels.size() ? kernels[static_cast<std::size_t>(i)] : "", join(reads), join(writes)});
    }
  return table.text();
}

std::string describe_parameters(const Plan& plan) {
  TextTable table({"parameter", "shape", "elements", "kind", "bucket", "initializer"});
  static constexpr const char* kKinds[] = {"weight", "bias", "norm"};
  for (const PlanParameter& parameter : plan.parameters)
    table.add({parameter.name, parameter.spec.shape.text(), format_count(parameter.spec.shape.elements()),
               kKinds[static_cast<std::size_t>(parameter.spec.kind)], std::to_string(parameter.bucket), parameter.spec.initializer.describe()});
  return table.text();
}

std::string describe_collectives(const Plan& plan) {
  TextTable table({"after segment", "collective", "bytes"});
  for (std::size_t s = 0; s < plan.training.segments.size(); ++s) {
    const Segment& segment = plan.training.segments[s];
    if (segment.kind == PhaseKind::reduce) {
      std::vector<std::string> names;
      std::int64_t bytes = 0;
      for (int i = segment.first; i < segment.last; ++i)
        for (const PlanOperand& written : plan.training.instructions[static_cast<std::size_t>(i)].writes) {
          names.push_back(plan.statistics[static_cast<std::size_t>(written.index)].name);
          bytes += plan.statistics[static_cast<std::size_t>(written.index)].size * static_cast<std::int64_t>(sizeof(double));
        }
      table.add({std::to_string(s), "statistics: " + join(names), std::to_string(bytes)});
    }
    for (std::size_t b = 0; b < plan.buckets.size(); ++b)
      if (plan.training.bucket_ready[b] == static_cast<int>(s))
        table.add({std::to_string(s), fmt::format("gradients: bucket {}", b), std::to_string(plan.buckets[b].elements * static_cast<std::int64_t>(sizeof(float)))});
  }
  return table.text();
}

}  // namespace

std::string describe_plan(const Plan& plan, std::span<const std::string> training_kernels, std::span<const std::string> evaluation_kernels) {
  const PlanOptions& options = plan.options;
  std::string result;
  result += fmt::format("global batch {} in {} lanes of {} samples, activations in {}{}\n\n", options.global_batch, options.lanes, plan.lane_rows(),
                        name_of(activation_dtype(options.precision)), options.precision == Precision::tf32 ? ", products in tf32" : "");
  result += "training\n" + describe_program(plan, plan.training, training_kernels) + "\n";
  result += "evaluation\n" + describe_program(plan, plan.evaluation, evaluation_kernels) + "\n";
  result += "parameters, in the order of their gradients\n" + describe_parameters(plan) + "\n";
  result += "collectives of a training step, in order\n" + describe_collectives(plan) + "\n";
  result += fmt::format("{} parameters ({}), {} blocks, {} buckets\n", format_count(plan.parameter_elements()),
                        format_bytes(static_cast<std::uint64_t>(plan.parameter_elements()) * sizeof(float)), plan.blocks.size(), plan.buckets.size());
  const auto memory = [](const PlanProgram& program) {
    return fmt::format("{} a sample for activations, {} a sample of a tile for scratch", format_bytes(static_cast<std::uint64_t>(program.arena_bytes_per_sample)),
                       format_bytes(static_cast<std::uint64_t>(program.scratch_bytes_per_sample)));
  };
  result += "training: " + memory(plan.training) + "\nevaluation: " + memory(plan.evaluation) + "\n";
  return result;
}

}  // namespace lockstep
