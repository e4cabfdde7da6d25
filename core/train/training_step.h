#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "core/train/clipping.h"
#include "core/train/optimizer.h"
#include "core/train/program.h"
#include "core/train/recorder.h"

namespace lockstep {

/// What one step of training gave, equal on every rank.
struct StepResult {
  double loss = 0;        ///< weighted mean over the global batch
  double loss_sum = 0;    ///< sum of loss * weight
  double weight_sum = 0;  ///< sum of weight
  double gradient_norm = 0;
  bool updated = true;  ///< false where loss or gradients were not finite and such steps are skipped
};

/// One optimizer step in its fixed order: forward, backward and reduced gradients; unscale; check finite; global norm;
/// clip; update. All of it is queued on the device, and recorded there once it repeats. References must outlive it.
class TrainingStep {
 public:
  /// What becomes of a step whose loss or gradients are not finite. The parameters are untouched either way.
  enum class Overflow { fails, is_skipped };

  struct Parts {
    std::shared_ptr<const Plan> plan;  // shared with the store and the programs
    Backend& backend;
    RunMode mode = RunMode::exact;
    RankShare share;
    StatisticsReducer& statistics;
    GradientSynchronizer& gradients;
    const Optimizer& optimizer;
    const Clipping* clipping = nullptr;  ///< may be null
    ParameterStore& store;
    Overflow overflow = Overflow::fails;
  };

  explicit TrainingStep(const Parts& parts);

  /// Brings the next batch to the device; may be called while a step is under way. `slot` must stay valid until `start`
  /// has returned on the host device, and no longer than this call on others.
  void stage(const BatchSlot& slot) { program_->stage(slot); }
  /// Starts the step of the staged batch. Collective. `carried`: places on the device by plan state index.
  void start(const StepBlock& step, std::span<void* const> carried);
  /// Waits for the step. Collective. `internal` error when the loss or the gradients are not finite and that `fails`;
  /// `content` error for data that the model cannot take (a label outside its classes).
  StepResult finish();

  StepResult run(const StepBlock& step, const BatchSlot& slot, std::span<void* const> carried);

  Program& program() { return *program_; }
  /// Whether steps that repeat are recorded where the device can: so by default.
  void record(bool on) { recorder_.enable(on); }
  int recordings() const { return recorder_.recordings(); }
  /// Before the ranks that recordings speak to take leave of each other.
  void forget_recordings() { recorder_.clear(); }
  /// Marks the work of every step in a profile from now on, until null is given; recordings made before are forgotten.
  void profile(Profile* profile);

 private:
  /// A list of blocks on the device.
  struct Blocks {
    std::int64_t count = 0;
    DeviceBuffer memory;
  };
  Blocks on_device(const std::vector<Block>& blocks) const;
  void queue_update();
  template <class Body>
  void each_run(const Blocks& blocks, const Body& body) const;

  Parts parts_;
  Device& device_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Kernel> squares_kernel_, decide_kernel_;
  /// With weight decay and without.
  std::array<std::unique_ptr<Kernel>, 2> update_kernels_;
  Blocks blocks_;
  std::array<Blocks, 2> updated_;
  DeviceBuffer squares_, scales_, outcome_;
  StagingBuffer outcome_staging_;
  std::int64_t step_number_ = 0;
  Profile* profile_ = nullptr;
  struct Entries {
    int norm = 0, decide = 0, update = 0;
  } entries_;
  Recorder recorder_;  ///< last: recordings use all of the above
};

}  // namespace lockstep
