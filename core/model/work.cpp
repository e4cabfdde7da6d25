#include "core/model/work.h"

namespace lockstep {
namespace {

double operand_bytes(const Plan& plan, const PlanProgram& program, const PlanOperand& operand, PhaseKind kind, std::int64_t rows, std::int64_t units) {
  if (operand.mode == WriteMode::skip) return 0;
  const auto at = static_cast<std::size_t>(operand.index);
  switch (operand.role) {
    case PlanRole::buffer: return static_cast<double>(rows) * static_cast<double>(program.buffers[at].spec.bytes());
    case PlanRole::parameter: {
      const Dtype dtype = kind == PhaseKind::once ? Dtype::f32 : activation_dtype(plan.options.precision);
      return static_cast<double>(plan.parameters[at].spec.shape.elements()) * static_cast<double>(size_of(dtype));
    }
    case PlanRole::gradient: return static_cast<double>(units * plan.parameters[at].spec.shape.elements()) * sizeof(float);
    case PlanRole::state: {
      const StateSpec& state = plan.states[at].spec;
      return static_cast<double>(state.spec.bytes()) * static_cast<double>(state.scope == StateScope::run ? 1 : rows);
    }
    case PlanRole::statistic: return static_cast<double>(units * plan.statistics[at].size) * sizeof(double);
  }
  return 0;
}

}  // namespace

Work work_of(const Plan& plan, const PlanProgram& program, const Instruction& instruction, std::int64_t rows, std::int64_t units) {
  Work work{.operations = static_cast<double>(instruction.operations) * static_cast<double>(rows)};
  if (instruction.kind == PhaseKind::reduce) return work;
  // Results are per lane, totals that are read are not.
  for (const PlanOperand& read : instruction.reads) work.bytes += operand_bytes(plan, program, read, instruction.kind, rows, 1);
  for (const PlanOperand& write : instruction.writes) {
    const double bytes = operand_bytes(plan, program, write, instruction.kind, rows, units);
    work.bytes += write.mode == WriteMode::accumulate ? 2 * bytes : bytes;
  }
  return work;
}

}  // namespace lockstep
