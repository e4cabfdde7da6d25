#include <algorithm>
#include <set>

#include "core/train/instruction_program.h"
#include "core/train/lane_fold.h"
#include "core/train/row_probe.h"

namespace lockstep {
namespace {

std::vector<LaneSpan> spans_of(RunMode mode, LaneSpan lanes, int group_lanes) {
  std::vector<LaneSpan> spans;
  for (const Tile& tile : TileSchedule::make(mode, lanes, 1, group_lanes).tiles) spans.push_back(tile.lanes);
  return spans;
}

std::vector<TensorSpec> input_specs(const Graph& graph) {
  std::vector<TensorSpec> specs;
  for (const int value : graph.inputs()) specs.push_back(graph.values()[static_cast<std::size_t>(value)].spec);
  return specs;
}

}  // namespace

OpSpec instruction_spec(const Plan& plan, const PlanProgram& program, const Instruction& instruction, RunMode mode, std::int64_t rank_rows) {
  OpSpec spec = op_spec(plan, program, instruction);
  spec.max_rows = rank_rows;
  // In `fast` mode a per-lane result is of all rows of a call. Rows kernels go by the size of a lane in both modes.
  if (mode == RunMode::fast && instruction.kind != PhaseKind::rows) spec.lane_rows = rank_rows;
  return spec;
}

InstructionProgram::InstructionProgram(const Parts& parts)
    : plan_(parts.plan),
      program_(parts.kind == Kind::training ? plan_->training : plan_->evaluation),
      backend_(parts.backend),
      device_(backend_.device()),
      mode_(parts.mode),
      share_(parts.share),
      statistics_(parts.statistics),
      synchronizer_(parts.gradients),
      training_(parts.kind == Kind::training),
      capacity_rows_(share_.lanes.count() * plan_->lane_rows()),
      layout_rows_((capacity_rows_ + 3) / 4 * 4),  // plans place at multiples of 64 bytes a row: buffers begin at multiples of 256
      pieces_(spans_of(RunMode::fast, share_.lanes, plan_->smallest_group_lanes())),
      units_(spans_of(mode_, share_.lanes, plan_->smallest_group_lanes())),
      input_(backend_, input_specs(*plan_->graph), capacity_rows_) {
  entries_.instructions.assign(program_.instructions.size(), 0);
  bind_instructions();
  if (synchronizer_) {
    std::vector<const Kernel*> kernels;
    for (const Bound& bound : instructions_) kernels.push_back(bound.kernel.get());
    gradients_ = std::make_unique<DeviceGradients>(*plan_, program_, std::move(kernels), backend_, mode_, share_.lanes, units_, *synchronizer_);
  }
  allocate();
}

void InstructionProgram::bind_instructions() {
  for (const Instruction& instruction : program_.instructions) {
    Bound bound{.instruction = &instruction};
    if (instruction.kind != PhaseKind::reduce) {
      const OpSpec spec = instruction_spec(*plan_, program_, instruction, mode_, capacity_rows_);
      bound.kernel = backend_.make(spec);
      if (instruction.kind == PhaseKind::rows && mode_ == RunMode::exact) probe_rows(bound, spec);
    }
    bound.packed.assign(instruction.reads.size(), nullptr);
    for (std::size_t r = 0; r < instruction.reads.size(); ++r) {
      const PlanOperand& read = instruction.reads[r];
      const std::size_t bytes = read.role == PlanRole::parameter ? bound.kernel->packed_bytes(static_cast<int>(r)) : 0;
      if (bytes > 0) bound.packed[r] = packed_copy(*bound.kernel, static_cast<int>(r), read.index, bytes);
    }
    instructions_.push_back(std::move(bound));
  }
}

const std::byte* InstructionProgram::packed_copy(const Kernel& kernel, int read, int parameter, std::size_t bytes) {
  const std::string layout = kernel.packed_layout(read);
  for (const Packed& other : packed_)
    if (other.parameter == parameter && other.layout == layout && !layout.empty() && other.memory.bytes() == bytes) return other.memory.data();
  packed_.push_back({parameter, read, &kernel, layout, DeviceBuffer(device_, bytes, "packed weights")});
  return packed_.back().memory.data();
}

void InstructionProgram::probe_rows(Bound& bound, const OpSpec& spec) {
  if (share_.lanes.count() < 2 || bound.kernel->rows_are_independent()) return;
  bound.merged = rows_give_the_same_bits(*bound.kernel, spec, device_, plan_->lane_rows());
  if (!bound.merged) bound.repeats = ", lane by lane";
}

void InstructionProgram::allocate() {
  arena_ = DeviceBuffer(device_, static_cast<std::size_t>(program_.arena_bytes_per_sample * layout_rows_), "activations");
  scratch_ = DeviceBuffer(device_, static_cast<std::size_t>(program_.scratch_bytes_per_sample * layout_rows_), "activations between two reductions");
  std::size_t workspace = 0, branch_workspace = 0;
  for (const Bound& bound : instructions_) {
    if (!bound.kernel) continue;
    workspace = std::max(workspace, bound.kernel->workspace_bytes());
    if (bound.instruction->kind == PhaseKind::per_lane && !bound.kernel->takes_lanes())
      branch_workspace = std::max(branch_workspace, bound.kernel->workspace_bytes());
  }
  workspace_ = DeviceBuffer(device_, workspace, "workspaces of kernels");
  const std::size_t branches = units_.size() > 1 ? std::min<std::size_t>(units_.size(), Queue::kBranches) : 0;
  for (std::size_t b = 0; b < branches; ++b) branch_workspaces_[b] = DeviceBuffer(device_, branch_workspace, "workspaces of kernels");
  std::int64_t locals = 0, results = 0, largest = 0;
  for (const PlanStatistic& statistic : plan_->statistics) {
    const int lanes = plan_->options.lanes;
    const int groups = statistic.group_lanes > 0 ? (lanes + statistic.group_lanes - 1) / statistic.group_lanes : 1;
    offsets_.push_back({locals, results});
    locals += statistic.size * share_.lanes.count();
    results += statistic.size * groups;
    largest = std::max(largest, statistic.size);
  }
  locals_ = DeviceBuffer(device_, static_cast<std::size_t>(locals) * sizeof(double), "statistics");
  results_ = DeviceBuffer(device_, static_cast<std::size_t>(results) * sizeof(double), "statistics");
  results_staging_ = StagingBuffer(device_, static_cast<std::size_t>(largest) * sizeof(double));
  step_ = DeviceBuffer(device_, sizeof(StepBlock), "step block");
  for (StagingBuffer& staging : step_staging_) staging = StagingBuffer(device_, sizeof(StepBlock));
  fault_ = DeviceBuffer(device_, sizeof(std::int64_t), "fault word");
  const int output = plan_->output_buffer_evaluation;
  if (!training_ && output >= 0)
    output_staging_ = StagingBuffer(device_, program_.buffers[static_cast<std::size_t>(output)].spec.bytes() * static_cast<std::size_t>(capacity_rows_));
}

}  // namespace lockstep
