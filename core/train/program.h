#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/model/parameter_store.h"
#include "core/model/plan.h"
#include "core/train/batch_source.h"
#include "core/train/profile.h"
#include "core/train/reduction.h"

namespace lockstep {

/// `exact`: sums follow the lane tree, bits do not depend on ranks or threads. `fast`: each thread takes its samples
/// in one piece and libraries add in their own order; equal to rounding.
enum class RunMode : std::uint8_t { exact, fast };

/// What binding needs to know of the place of this rank.
struct RankShare {
  LaneSpan lanes;  ///< this rank's, of plan.options.lanes
};

/// The memory that a run works on, all on the device.
struct ProgramMemory {
  ParameterView weights;
  std::span<void* const> states;   ///< run-scope states by plan index, updated in place by training
  std::span<void* const> carried;  ///< this rank's rows of the batch-position states, by plan index
  float* gradients = nullptr;      ///< training: an arena that receives the reduced gradients
};

/// A plan's program bound to a backend: kernels chosen, memory taken. One batch is `stage`, `begin`, `queue`; on a
/// device that is not the host all of them return before the work is done.
class Program {
 public:
  enum class Kind { training, evaluation };

  struct Parts {
    std::shared_ptr<const Plan> plan;  // shared with the store and other programs of the plan
    Kind kind = Kind::training;
    Backend& backend;
    RunMode mode = RunMode::exact;
    RankShare share;
    StatisticsReducer& statistics;
    GradientSynchronizer* gradients = nullptr;  ///< null for evaluation
  };

  /// By the backend's work order. References must outlive the program.
  static std::unique_ptr<Program> bind(const Parts& parts);
  virtual ~Program() = default;

  /// Brings this rank's rows of the next batch to the device, beside those of a batch that is still being worked on.
  /// `slot` must stay valid until `queue` has returned.
  virtual void stage(const BatchSlot& slot) = 0;
  /// The staged batch becomes the current one; brings the step's numbers to the device.
  virtual void begin(const StepBlock& step, const ProgramMemory& memory) = 0;
  /// Queues the work of the current batch, all on or joined to the main queue. Collective. Training leaves the reduced
  /// gradients in `memory.gradients`.
  virtual void queue(const ProgramMemory& memory) = 0;
  /// What the queued work depends on: after two `begin`s with equal signatures, and with the same memory, `queue` queues
  /// the same, so a recording of one serves the other.
  virtual std::vector<std::int64_t> signature(const ProgramMemory& memory) const = 0;

  /// On the device: the current step's numbers, the reduced totals of a statistic, and a word that kernels leave
  /// faults in (KernelCall::fault; null where they throw).
  virtual StepBlock* step_block() = 0;
  virtual const double* statistic_memory(int index) const = 0;
  virtual std::int64_t* fault() = 0;

  /// After the queued work is done: the reduced total of a statistic (its first group), on the host.
  virtual std::vector<double> statistic(int index) = 0;
  /// After an evaluation is done: this rank's rows of the model's output, on the host; valid until the next run.
  virtual ConstTensorView output() = 0;

  virtual std::size_t activation_bytes() const = 0;
  /// Which kernel serves each instruction, in order.
  virtual std::vector<std::string> implementations() const = 0;
  /// Enters its kinds of work, and marks them whenever it queues a batch. Null ends it. The profile must outlive that.
  virtual void profile(Profile* profile) = 0;
};

}  // namespace lockstep
