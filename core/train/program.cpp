#include "core/train/program.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/train/program_impl.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

Program::Program(std::shared_ptr<const Plan> plan, Kind kind, Backend& backend, RunMode mode, RankShare share, StatisticsReducer& statistics,
                 GradientSynchronizer* gradients)
    : impl_(std::make_unique<Impl>(std::move(plan), kind, backend, mode, share, statistics, gradients)) {}

Program::~Program() = default;

void Program::run(const StepBlock& step, const BatchSlot& slot, ParameterView weights, std::vector<Tensor>& states, std::vector<Tensor>& carried,
                  float* gradients) {
  Impl& m = *impl_;
  m.step = &step;
  m.slot = &slot;
  m.weights = weights;
  m.states = &states;
  m.carried = &carried;
  m.gradients = gradients;
  m.pack(weights);
  for (GradientPath& path : m.paths)
    if (path.fold) path.fold->begin();
  for (std::size_t s = 0; s < m.program.segments.size(); ++s) {
    const Segment& segment = m.program.segments[s];
    if (segment.kind == PhaseKind::rows) m.run_work(segment);
    if (segment.kind == PhaseKind::once) m.run_once(segment);
    if (segment.kind == PhaseKind::reduce) m.run_reduce(segment);
    if (m.synchronizer) m.finish_gradients(static_cast<int>(s));
  }
  if (m.synchronizer) m.synchronizer->finish({});
}

void Program::Impl::pack(ParameterView view) {
  if (packed_version == view.version) return;
  backend.parallel(static_cast<int>(packed.size()), [&](int task, int) {
    PackedParameter& item = packed[static_cast<std::size_t>(task)];
    item.kernel->pack(item.read, view.arena + plan->parameters[static_cast<std::size_t>(item.parameter)].offset, item.memory.data(), {});
  });
  packed_version = view.version;
}

void Program::Impl::run_work(const Segment& segment) {
  backend.parallel(static_cast<int>(schedule.runs.size()), [&](int run, int worker) {
    const LaneSpan tiles = schedule.runs[static_cast<std::size_t>(run)];
    require(worker == run || backend.workers() == 1, "worker {} was given the tiles of worker {}", worker, run);
    for (int tile = tiles.first; tile < tiles.last; ++tile) run_tile(segment, run, tile);
  });
}

void Program::Impl::run_tile(const Segment& segment, int worker, int tile) {
  const LaneSpan lanes = schedule.tiles[static_cast<std::size_t>(tile)].lanes;
  const bool empty = rows_before(lanes.first) == rows_before(lanes.last);
  for (int i = segment.first; i < segment.last; ++i) {
    BoundInstruction& bound = instructions[static_cast<std::size_t>(i)];
    if (empty) {
      clear_lane(bound, worker, tile);
    } else if (profiling) {
      const auto start = Clock::now();
      run_call(bound, worker, tile);
      count_time(worker, bound.instruction->op, seconds_since(start));
    } else {
      run_call(bound, worker, tile);
    }
    for (std::size_t w = 0; w < bound.instruction->writes.size(); ++w)
      if (bound.instruction->writes[w].role == PlanRole::gradient) gradient_written(bound, w, worker, tile);
  }
}

void Program::Impl::run_call(BoundInstruction& bound, int worker, int tile) {
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
                     .step = step,
                     .workspace = workspace[static_cast<std::size_t>(worker)].data()});
}

/// The memory of an operand: for a tile's rows, or whole where tile is -1.
void* Program::Impl::address(const PlanOperand& operand, int worker, int tile, bool is_write) {
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
      if (state.spec.scope == StateScope::run) return (*states)[at].as<std::byte>();
      return (*carried)[at].as<std::byte>() + static_cast<std::size_t>(row) * state.spec.spec.bytes();
    }
    case PlanRole::statistic: {
      const PlanStatistic& statistic = plan->statistics[at];
      if (is_write && tile >= 0) return reinterpret_cast<double*>(statistic_memory[at].local.data()) + (lane - share.lanes.first) * statistic.size;
      const int group = tile >= 0 && statistic.group_lanes > 0 ? lane / statistic.group_lanes : 0;
      return reinterpret_cast<double*>(statistic_memory[at].result.data()) + group * statistic.size;
    }
    case PlanRole::gradient: break;
  }
  fail(ErrorKind::internal, "a gradient has no address of its own");
}

void Program::Impl::run_once(const Segment& segment) {
  for (int i = segment.first; i < segment.last; ++i) run_call(instructions[static_cast<std::size_t>(i)], 0, -1);
}

void Program::Impl::run_reduce(const Segment& segment) {
  const auto start = Clock::now();
  std::vector<StatisticPart> parts;
  for (int i = segment.first; i < segment.last; ++i) {
    const Instruction& instruction = *instructions[static_cast<std::size_t>(i)].instruction;
    for (const PlanOperand& written : instruction.writes) {
      const auto at = static_cast<std::size_t>(written.index);
      parts.push_back({.kind = instruction.reduce,
                       .size = plan->statistics[at].size,
                       .group_lanes = instruction.group_lanes,
                       .local = reinterpret_cast<const double*>(statistic_memory[at].local.data()),
                       .result = reinterpret_cast<double*>(statistic_memory[at].result.data())});
    }
  }
  statistics.reduce(parts, share.lanes, plan->options.lanes, {});
  if (profiling) count_time(0, "reduce statistics", seconds_since(start));
}

std::span<const double> Program::statistic(int index) const {
  const auto at = static_cast<std::size_t>(index);
  return {reinterpret_cast<const double*>(impl_->statistic_memory[at].result.data()), static_cast<std::size_t>(impl_->plan->statistics[at].size)};
}

ConstTensorView Program::output() const {
  const int index = impl_->plan->output_buffer_evaluation;
  require(index >= 0 && impl_->synchronizer == nullptr, "only an evaluation program has an output");
  const PlanBuffer& buffer = impl_->program.buffers[static_cast<std::size_t>(index)];
  const void* data = buffer.placement == Placement::slot ? impl_->slot->inputs[static_cast<std::size_t>(buffer.offset)].data
                                                         : impl_->arena.data() + buffer.offset * impl_->capacity_rows;
  return {data, {buffer.spec.shape.with_leading(impl_->slot->rows), buffer.spec.dtype}};
}

std::size_t Program::activation_bytes() const {
  std::size_t bytes = impl_->arena.bytes();
  for (const HostBuffer& buffer : impl_->scratch) bytes += buffer.bytes();
  for (const HostBuffer& buffer : impl_->workspace) bytes += buffer.bytes();
  return bytes;
}

std::vector<std::string> Program::implementations() const {
  std::vector<std::string> result;
  for (const BoundInstruction& bound : impl_->instructions) result.push_back(bound.kernel ? bound.kernel->implementation() : "collective");
  return result;
}

const TimeByOp& Program::times() const {
  impl_->times.clear();
  for (const TimeByOp& worker : impl_->worker_times)
    for (const auto& [what, seconds] : worker) impl_->times[what] += seconds;
  return impl_->times;
}

void Program::profile(bool on) { impl_->profiling = on; }

}  // namespace lockstep
