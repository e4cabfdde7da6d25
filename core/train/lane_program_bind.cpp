#include <algorithm>
#include <set>

#include "core/train/lane_program.h"

namespace lockstep {
LaneProgram::LaneProgram(const Parts& parts)
    : plan(parts.plan),
      program(parts.kind == Kind::training ? plan->training : plan->evaluation),
      backend(parts.backend),
      mode(parts.mode),
      share(parts.share),
      statistics(parts.statistics),
      synchronizer(parts.gradients) {
  schedule = TileSchedule::make(mode, share.lanes, backend.workers(), plan->smallest_group_lanes());
  tile_rows = schedule.largest_tile_lanes() * plan->lane_rows();
  capacity_rows = share.lanes.count() * plan->lane_rows();
  const TensorSpec element{Shape{}, Dtype::f32};
  add_kernel = backend.make({.op = "gradient.add", .layer = "gradients", .kind = PhaseKind::rows, .reads = {{Role::input, element}},
                             .writes = {{Role::input, element, WriteMode::accumulate}}, .lane_rows = 1, .max_rows = 1});
  add_floats = [kernel = add_kernel.get()](float* into, const float* right, std::int64_t elements) {
    const void* reads[] = {right};
    void* writes[] = {into};
    kernel->run({.reads = reads, .writes = writes, .rows = elements});
  };
  bind_instructions();
  bind_gradients();
  allocate();
}

void LaneProgram::bind_instructions() {
  std::set<int> gradients_seen;
  for (const Instruction& instruction : program.instructions) {
    BoundInstruction bound{.instruction = &instruction};
    if (instruction.kind != PhaseKind::reduce) {
      OpSpec spec = op_spec(*plan, program, instruction);
      spec.max_rows = std::max<std::int64_t>(tile_rows, 1);
      if (mode == RunMode::fast) spec.lane_rows = spec.max_rows;
      bound.kernel = backend.make(spec);
    }
    for (std::size_t r = 0; r < instruction.reads.size(); ++r) {
      const PlanOperand& read = instruction.reads[r];
      const std::size_t bytes = read.role == PlanRole::parameter ? bound.kernel->packed_bytes(static_cast<int>(r)) : 0;
      bound.packed.push_back(bytes ? static_cast<int>(packed.size()) : -1);
      if (bytes) packed.push_back({read.index, static_cast<int>(r), bound.kernel.get(), HostBuffer(bytes)});
    }
    for (const PlanOperand& write : instruction.writes)
      bound.first_use.push_back(write.role == PlanRole::gradient && gradients_seen.insert(write.index).second);
    instructions.push_back(std::move(bound));
  }
}

void LaneProgram::bind_gradients() {
  paths.resize(plan->parameters.size());
  for (std::size_t s = 0; s < program.segments.size(); ++s)
    for (int i = program.segments[s].first; i < program.segments[s].last; ++i) {
      const BoundInstruction& bound = instructions[static_cast<std::size_t>(i)];
      for (std::size_t w = 0; w < bound.instruction->writes.size(); ++w) {
        const PlanOperand& write = bound.instruction->writes[w];
        if (write.role != PlanRole::gradient) continue;
        GradientPath& path = paths[static_cast<std::size_t>(write.index)];
        const std::int64_t slot_elements = bound.kernel->slot_elements(static_cast<int>(w));
        const std::int64_t plain = plan->parameters[static_cast<std::size_t>(write.index)].spec.shape.elements();
        path.ready_segment = static_cast<int>(s);
        if (path.fold) {
          path.shared = true;
          path.unpacker = nullptr;
        } else if (slot_elements > 0) {
          path.unpacker = bound.kernel.get();
          path.unpack_write = static_cast<int>(w);
        }
        const std::int64_t elements = path.shared || slot_elements == 0 ? plain : slot_elements;
        path.fold = std::make_unique<GradientFold>(mode, schedule, plan->options.lanes, elements, path.shared, add_floats);
      }
    }
  node_spans = mode == RunMode::exact ? cover(share.lanes, plan->options.lanes) : std::vector<LaneSpan>{share.lanes};
  if (synchronizer)
    for (std::size_t n = 1; n < node_spans.size(); ++n) node_arenas.emplace_back(static_cast<std::size_t>(plan->arena_elements) * sizeof(float));
}

void LaneProgram::allocate() {
  arena = HostBuffer(static_cast<std::size_t>(program.arena_bytes_per_sample * capacity_rows));
  std::size_t workspace_bytes = 0, slot_floats = 0, plain_floats = 0;
  for (const BoundInstruction& bound : instructions) {
    if (!bound.kernel) continue;
    workspace_bytes = std::max(workspace_bytes, bound.kernel->workspace_bytes());
    for (std::size_t w = 0; w < bound.instruction->writes.size(); ++w) {
      const PlanOperand& write = bound.instruction->writes[w];
      if (write.role != PlanRole::gradient || !paths[static_cast<std::size_t>(write.index)].shared) continue;
      const auto plain = static_cast<std::size_t>(plan->parameters[static_cast<std::size_t>(write.index)].spec.shape.elements());
      slot_floats = std::max({slot_floats, plain, static_cast<std::size_t>(bound.kernel->slot_elements(static_cast<int>(w)))});
      plain_floats = std::max(plain_floats, plain);
    }
  }
  for (int w = 0; w < backend.workers(); ++w) {
    scratch.emplace_back(static_cast<std::size_t>(program.scratch_bytes_per_sample * tile_rows));
    workspace.emplace_back(workspace_bytes);
    shared_slot.emplace_back(slot_floats * sizeof(float));
    shared_plain.emplace_back(plain_floats * sizeof(float));
  }
  for (const PlanStatistic& statistic : plan->statistics) {
    StatisticMemory memory;
    memory.groups = statistic.group_lanes > 0 ? (plan->options.lanes + statistic.group_lanes - 1) / statistic.group_lanes : 1;
    const auto bytes = static_cast<std::size_t>(statistic.size) * sizeof(double);
    memory.local = HostBuffer(bytes * static_cast<std::size_t>(share.lanes.count()));
    memory.result = HostBuffer(bytes * static_cast<std::size_t>(memory.groups));
    statistics_memory.push_back(std::move(memory));
  }
}

}  // namespace lockstep
