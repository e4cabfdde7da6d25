#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/train/lane_fold.h"
#include "core/train/program.h"

namespace lockstep {

/// A parameter's gradient on its way from the kernels to the arena.
struct GradientPath {
  std::unique_ptr<GradientFold> fold;
  const Kernel* unpacker = nullptr;  ///< the kernel whose private layout the slots have, or null for plain ones
  int unpack_write = 0;
  int ready_segment = -1;
  bool shared = false;  ///< several uses, summed at the lane in the plain layout
};

/// A parameter in a kernel's own layout, refreshed when the parameters' version changes.
struct PackedParameter {
  int parameter = 0, read = 0;
  const Kernel* kernel = nullptr;
  HostBuffer memory;
};

struct StatisticMemory {
  HostBuffer local;   ///< [lanes of the rank][size]
  HostBuffer result;  ///< [groups][size]
  int groups = 1;
};

struct BoundInstruction {
  const Instruction* instruction = nullptr;
  std::unique_ptr<Kernel> kernel;  ///< null for reduce
  std::vector<int> packed;         ///< by read: index into packed parameters, or -1
  std::vector<bool> first_use;     ///< by write: of a shared gradient, whether this is its lane's first use
};

/// A program for worker threads: each takes lane after lane through all instructions of a segment, so that what one kernel
/// writes the next finds in the cache. Work runs at once, in `queue`.
class LaneProgram final : public Program {
 public:
  explicit LaneProgram(const Parts& parts);

  void stage(const BatchSlot& batch) override { staged = &batch; }
  void begin(const StepBlock& numbers, const ProgramMemory& memory) override;
  void queue(const ProgramMemory& memory) override;
  std::vector<std::int64_t> signature(const ProgramMemory&) const override { return {}; }
  StepBlock* step_block() override { return &step; }
  const double* statistic_memory(int index) const override;
  std::int64_t* fault() override { return nullptr; }
  std::vector<double> statistic(int index) override;
  ConstTensorView output() override;
  std::size_t activation_bytes() const override;
  std::vector<std::string> implementations() const override;
  void profile(Profile* to) override;

 private:
  void bind_instructions();
  void bind_gradients();
  void allocate();

  void pack(ParameterView weights);
  void run_work(const Segment& segment);
  void run_tile(const Segment& segment, int worker, int tile);
  void run_call(BoundInstruction& bound, int worker, int tile);
  void run_once(const Segment& segment);
  void run_reduce(const Segment& segment);
  void finish_gradients(int segment);
  void* address(const PlanOperand& operand, int worker, int tile, bool writes);
  float* gradient_slot(const BoundInstruction& bound, std::size_t write, int worker, int tile);
  void gradient_written(const BoundInstruction& bound, std::size_t write, int worker, int tile);
  void clear_lane(const BoundInstruction& bound, int worker, int tile);
  std::int64_t rows_before(int lane) const { return std::min<std::int64_t>(lane * plan->lane_rows(), slot->position.samples); }
  void count_workers();

  std::shared_ptr<const Plan> plan;  // shared with the store and other programs of the plan
  const PlanProgram& program;
  Backend& backend;
  RunMode mode;
  RankShare share;
  StatisticsReducer& statistics;
  GradientSynchronizer* synchronizer;

  TileSchedule schedule;
  std::int64_t capacity_rows = 0, tile_rows = 0;
  std::unique_ptr<Kernel> add_kernel;
  AddFloats add_floats;
  std::vector<BoundInstruction> instructions;
  std::vector<GradientPath> paths;  ///< by parameter
  std::vector<PackedParameter> packed;
  std::uint64_t packed_version = 0;
  std::vector<StatisticMemory> statistics_memory;
  HostBuffer arena;
  std::vector<HostBuffer> scratch, workspace, shared_slot, shared_plain;  ///< by worker
  std::vector<LaneSpan> node_spans;
  std::vector<HostBuffer> node_arenas;  ///< of the second node on; the first uses the gradient arena

  // Of the run in progress.
  StepBlock step;
  const BatchSlot *staged = nullptr, *slot = nullptr;
  ParameterView weights;
  std::span<void* const> states, carried;
  float* gradients = nullptr;

  Profile* profiling = nullptr;
  std::vector<int> entries;                        ///< of the profile, by instruction
  int pack_entry = 0, fold_entry = 0;
  std::vector<std::vector<double>> worker_seconds;  ///< by worker and instruction, of the run in progress
};

}  // namespace lockstep
