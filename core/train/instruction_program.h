#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/train/device_gradients.h"
#include "core/train/device_input.h"
#include "core/train/program.h"

namespace lockstep {

/// What the kernel of an instruction (not a reduce) is made from, on a rank that has `rank_rows` rows of a full batch.
OpSpec instruction_spec(const Plan& plan, const PlanProgram& program, const Instruction& instruction, RunMode mode, std::int64_t rank_rows);

/// A program for one wide device: instruction after instruction on the main queue. A `rows` instruction takes all lanes of
/// the rank in one call where a row's bits do not depend on it; a per-lane one does too where its kernel keeps lanes
/// apart itself, otherwise its lanes run side by side on the branch queues. Nothing but addresses, row counts and the
/// order of calls is decided on the host, so the whole can be recorded.
class InstructionProgram final : public Program {
 public:
  explicit InstructionProgram(const Parts& parts);

  void stage(const BatchSlot& slot) override { input_.stage(slot); }
  void begin(const StepBlock& step, const ProgramMemory& memory) override;
  void queue(const ProgramMemory& memory) override;
  std::vector<std::int64_t> signature(const ProgramMemory& memory) const override;
  StepBlock* step_block() override { return step_.as<StepBlock>(); }
  const double* statistic_memory(int index) const override { return result_of(index); }
  std::int64_t* fault() override { return fault_.as<std::int64_t>(); }
  std::vector<double> statistic(int index) override;
  ConstTensorView output() override;
  std::size_t activation_bytes() const override { return arena_.bytes() + scratch_.bytes() + workspace_.bytes(); }
  std::vector<std::string> implementations() const override;
  void profile(Profile* profile) override;

 private:
  struct Bound {
    const Instruction* instruction = nullptr;
    std::unique_ptr<Kernel> kernel;   ///< null for reduce
    std::vector<const std::byte*> packed;  ///< by read: the kernel's own copy of a parameter, or null
    bool merged = true;               ///< rows: whether all lanes go into one call
    std::string repeats;              ///< why not, for `implementations`
  };
  struct Packed {
    int parameter = 0, read = 0;
    const Kernel* kernel = nullptr;
    std::string layout;
    DeviceBuffer memory;
  };
  /// A call's lanes and where its results go.
  struct Call {
    LaneSpan lanes;
    int unit = 0;    ///< of the first lane: see units_
    int units = 1;   ///< units that the call covers
    StreamView stream;
    std::byte* workspace = nullptr;
  };

  void bind_instructions();
  /// This program's copy of a parameter in a kernel's layout.
  const std::byte* packed_copy(const Kernel& kernel, int read, int parameter, std::size_t bytes);
  void probe_rows(Bound& bound, const OpSpec& spec);
  void allocate();

  void pack(ParameterView weights);
  void run_rows(Bound& bound);
  void run_lanes(Bound& bound);
  void run_once(Bound& bound);
  void run_reduce(const Segment& segment);
  void call(Bound& bound, const Call& call);
  void clear_results(Bound& bound, const Call& call);
  void* address(const PlanOperand& operand, const Call& call, bool is_write);
  double* result_of(int statistic) const { return results_.as<double>() + offsets_[static_cast<std::size_t>(statistic)].result; }
  std::int64_t rows_before(int lane) const { return std::min<std::int64_t>(lane * plan_->lane_rows(), input_.position().samples); }
  std::int64_t rows_of(LaneSpan lanes) const { return rows_before(lanes.last) - rows_before(lanes.first); }

  std::shared_ptr<const Plan> plan_;  // shared with the store and other programs of the plan
  const PlanProgram& program_;
  Backend& backend_;
  Device& device_;
  RunMode mode_;
  RankShare share_;
  StatisticsReducer& statistics_;
  GradientSynchronizer* synchronizer_;
  bool training_;

  std::int64_t capacity_rows_, layout_rows_;  ///< rows of a full batch; rows that buffers are laid out for
  std::vector<LaneSpan> pieces_;              ///< runs of lanes that one call may take: none crosses a group of statistics
  std::vector<LaneSpan> units_;               ///< what has a per-lane result of its own: lanes in `exact`, pieces in `fast`
  DeviceInput input_;
  std::vector<Bound> instructions_;
  std::vector<Packed> packed_;
  std::uint64_t packed_version_ = 0;
  std::unique_ptr<DeviceGradients> gradients_;  ///< null for evaluation

  struct Offsets {
    std::int64_t local, result;  ///< doubles
  };
  std::vector<Offsets> offsets_;  ///< by statistic
  DeviceBuffer arena_, scratch_, workspace_, locals_, results_, step_, fault_;
  std::array<DeviceBuffer, Queue::kBranches> branch_workspaces_;
  std::array<StagingBuffer, 2> step_staging_;
  StagingBuffer results_staging_, output_staging_;

  // Of the run in progress.
  const ProgramMemory* memory_ = nullptr;

  Profile* profile_ = nullptr;
  struct Entries {
    std::vector<int> instructions;  ///< by instruction; those of a reduce segment share one
    int prepare = 0, pack = 0, fold = 0, wait = 0;
  } entries_;
};

}  // namespace lockstep
