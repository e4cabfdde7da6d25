#include "core/train/lane_program.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/train/lane_program.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

void LaneProgram::begin(const StepBlock& numbers, const ProgramMemory&) {
  step = numbers;
  slot = staged;
}

void LaneProgram::queue(const ProgramMemory& memory) {
  weights = memory.weights;
  states = memory.states;
  carried = memory.carried;
  gradients = memory.gradients;
  const auto start = Clock::now();
  pack(weights);
  if (profiling) profiling->count(pack_entry, seconds_since(start));
  for (GradientPath& path : paths)
    if (path.fold) path.fold->begin();
  for (std::size_t s = 0; s < program.segments.size(); ++s) {
    const Segment& segment = program.segments[s];
    if (segment.kind == PhaseKind::rows) run_work(segment);
    if (segment.kind == PhaseKind::once) run_once(segment);
    if (segment.kind == PhaseKind::reduce) run_reduce(segment);
    if (synchronizer) finish_gradients(static_cast<int>(s));
  }
  if (synchronizer) synchronizer->finish({});
  if (profiling) count_workers();
}

void LaneProgram::profile(Profile* to) {
  profiling = to;
  if (!to) return;
  worker_seconds.assign(static_cast<std::size_t>(backend.workers()), std::vector<double>(instructions.size(), 0.0));
  entries.clear();
  for (const BoundInstruction& bound : instructions)
    entries.push_back(bound.kernel ? to->add(bound.instruction->op, bound.kernel->implementation(), work_of(*plan, program, *bound.instruction, capacity_rows, share.lanes.count()))
                                   : to->add("reduce statistics", ""));
  pack_entry = to->add("pack weights", "");
  fold_entry = to->add("fold and reduce gradients", "");
}

/// Threads work side by side: the mean of their times is what a step waits for.
void LaneProgram::count_workers() {
  for (std::vector<double>& seconds : worker_seconds)
    for (std::size_t i = 0; i < seconds.size(); ++i) {
      profiling->count(entries[i], seconds[i] / static_cast<double>(worker_seconds.size()));
      seconds[i] = 0;
    }
}

void LaneProgram::pack(ParameterView view) {
  if (packed_version == view.version) return;
  backend.parallel(static_cast<int>(packed.size()), [&](int task, int) {
    PackedParameter& item = packed[static_cast<std::size_t>(task)];
    item.kernel->pack(item.read, view.arena + plan->parameters[static_cast<std::size_t>(item.parameter)].offset, item.memory.data(), {});
  });
  packed_version = view.version;
}

void LaneProgram::run_work(const Segment& segment) {
  backend.parallel(static_cast<int>(schedule.runs.size()), [&](int run, int worker) {
    const LaneSpan tiles = schedule.runs[static_cast<std::size_t>(run)];
    require(worker == run || backend.workers() == 1, "worker {} was given the tiles of worker {}", worker, run);
    for (int tile = tiles.first; tile < tiles.last; ++tile) run_tile(segment, run, tile);
  });
}

void LaneProgram::run_tile(const Segment& segment, int worker, int tile) {
  const LaneSpan lanes = schedule.tiles[static_cast<std::size_t>(tile)].lanes;
  const bool empty = rows_before(lanes.first) == rows_before(lanes.last);
  for (int i = segment.first; i < segment.last; ++i) {
    BoundInstruction& bound = instructions[static_cast<std::size_t>(i)];
    if (empty) {
      clear_lane(bound, worker, tile);
    } else if (profiling) {
      const auto start = Clock::now();
      run_call(bound, worker, tile);
      worker_seconds[static_cast<std::size_t>(worker)][static_cast<std::size_t>(i)] += seconds_since(start);
    } else {
      run_call(bound, worker, tile);
    }
    for (std::size_t w = 0; w < bound.instruction->writes.size(); ++w)
      if (bound.instruction->writes[w].role == PlanRole::gradient) gradient_written(bound, w, worker, tile);
  }
}

void LaneProgram::run_call(BoundInstruction& bound, int worker, int tile) {
  constexpr std::size_t kMost = 16;
  const Instruction& instruction = *bound.instruction;
  const void* reads[kMost];
  void* writes[kMost];
  require(instruction.reads.size() <= kMost && instruction.writes.size() <= kMost, "{}: more than {} operands", instruction.op, kMost);
  for (std::size_t r = 0; r < instruction.reads.size(); ++r)
    reads[r] = bound.packed[r] >= 0 ? packed[static_cast<std::size_t>(bound.packed[r])].memory.data() : address(instruction.reads[r], worker, tile, false);
  for (std::size_t w = 0; w < instruction.writes.size(); ++w)
    writes[w] = instruction.writes[w].role == PlanRole::gradient ? gradient_slot(bound, w, worker, tile) : address(instruction.writes[w], worker, tile, true);
  const LaneSpan lanes = tile >= 0 ? schedule.tiles[static_cast<std::size_t>(tile)].lanes : LaneSpan{};
  const std::int64_t first = tile >= 0 ? rows_before(lanes.first) : 0;
  bound.kernel->run({.reads = {reads, instruction.reads.size()},
                     .writes = {writes, instruction.writes.size()},
                     .rows = tile >= 0 ? rows_before(lanes.last) - first : 0,
                     .first_row = first,
                     .step = &step,
                     .workspace = workspace[static_cast<std::size_t>(worker)].data()});
}

/// The memory of an operand: for a tile's rows, or whole where tile is -1.
void* LaneProgram::address(const PlanOperand& operand, int worker, int tile, bool is_write) {
  if (operand.mode == WriteMode::skip) return nullptr;
  const auto at = static_cast<std::size_t>(operand.index);
  const int lane = tile >= 0 ? schedule.tiles[static_cast<std::size_t>(tile)].lanes.first : share.lanes.first;
  const std::int64_t row = rows_before(lane) - rows_before(share.lanes.first);
  switch (operand.role) {
    case PlanRole::buffer: {
      const PlanBuffer& buffer = program.buffers[at];
      const auto skip = static_cast<std::size_t>(row) * buffer.spec.bytes();
      if (buffer.placement == Placement::scratch) return scratch[static_cast<std::size_t>(worker)].data() + buffer.offset * tile_rows;
      if (buffer.placement == Placement::arena) return arena.data() + buffer.offset * capacity_rows + skip;
      return const_cast<std::byte*>(slot->inputs[static_cast<std::size_t>(buffer.offset)].as<std::byte>()) + skip;  // inputs are only read
    }
    case PlanRole::parameter: return const_cast<float*>(weights.arena) + plan->parameters[at].offset;  // parameters are only read
    case PlanRole::state: {
      const PlanState& state = plan->states[at];
      if (state.spec.scope == StateScope::run) return states[at];
      return static_cast<std::byte*>(carried[at]) + static_cast<std::size_t>(row) * state.spec.spec.bytes();
    }
    case PlanRole::statistic: {
      const PlanStatistic& statistic = plan->statistics[at];
      if (is_write && tile >= 0) return reinterpret_cast<double*>(statistics_memory[at].local.data()) + (lane - share.lanes.first) * statistic.size;
      const int group = tile >= 0 && statistic.group_lanes > 0 ? lane / statistic.group_lanes : 0;
      return reinterpret_cast<double*>(statistics_memory[at].result.data()) + group * statistic.size;
    }
    case PlanRole::gradient: break;
  }
  fail(ErrorKind::internal, "a gradient has no address of its own");
}

void LaneProgram::run_once(const Segment& segment) {
  for (int i = segment.first; i < segment.last; ++i) {
    const auto start = Clock::now();
    run_call(instructions[static_cast<std::size_t>(i)], 0, -1);
    if (profiling) profiling->count(entries[static_cast<std::size_t>(i)], seconds_since(start));
  }
}

void LaneProgram::run_reduce(const Segment& segment) {
  const auto start = Clock::now();
  std::vector<StatisticPart> parts;
  for (int i = segment.first; i < segment.last; ++i) {
    const Instruction& instruction = *instructions[static_cast<std::size_t>(i)].instruction;
    for (const PlanOperand& written : instruction.writes) {
      const auto at = static_cast<std::size_t>(written.index);
      parts.push_back({.kind = instruction.reduce,
                       .size = plan->statistics[at].size,
                       .group_lanes = instruction.group_lanes,
                       .local = reinterpret_cast<const double*>(statistics_memory[at].local.data()),
                       .result = reinterpret_cast<double*>(statistics_memory[at].result.data())});
    }
  }
  statistics.reduce(parts, share.lanes, plan->options.lanes, {});
  if (profiling) profiling->count(entries[static_cast<std::size_t>(segment.first)], seconds_since(start));
}

const double* LaneProgram::statistic_memory(int index) const {
  return reinterpret_cast<const double*>(statistics_memory[static_cast<std::size_t>(index)].result.data());
}

std::vector<double> LaneProgram::statistic(int index) {
  const double* values = statistic_memory(index);
  return {values, values + plan->statistics[static_cast<std::size_t>(index)].size};
}

ConstTensorView LaneProgram::output() {
  const int index = plan->output_buffer_evaluation;
  require(index >= 0 && synchronizer == nullptr, "only an evaluation program has an output");
  const PlanBuffer& buffer = program.buffers[static_cast<std::size_t>(index)];
  const void* data = buffer.placement == Placement::slot ? slot->inputs[static_cast<std::size_t>(buffer.offset)].data
                                                         : arena.data() + buffer.offset * capacity_rows;
  return {data, {buffer.spec.shape.with_leading(slot->rows), buffer.spec.dtype}};
}

std::size_t LaneProgram::activation_bytes() const {
  std::size_t bytes = arena.bytes();
  for (const HostBuffer& buffer : scratch) bytes += buffer.bytes();
  for (const HostBuffer& buffer : workspace) bytes += buffer.bytes();
  return bytes;
}

std::vector<std::string> LaneProgram::implementations() const {
  std::vector<std::string> result;
  for (const BoundInstruction& bound : instructions) result.push_back(bound.kernel ? bound.kernel->implementation() : "collective");
  return result;
}

}  // namespace lockstep
