#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/registry.h"
#include "core/model/state_visitor.h"

namespace lockstep {

/// Where a run stands, for schedules: batches consumed, never updates applied.
struct Progress {
  std::int64_t step = 0;         ///< the batch about to be taken, from 0
  std::int64_t total_steps = 0;  ///< of the whole run, whatever `train.steps` says
  std::int64_t steps_per_epoch = 0;
  double epoch() const { return steps_per_epoch ? static_cast<double>(step) / static_cast<double>(steps_per_epoch) : 0.0; }
};

/// A schedule of the learning rate (and of momentum). A function of progress; one that must remember (plateau) keeps
/// its memory in members that `visit` shows, and learns only from reduced metrics.
class Schedule {
 public:
  static constexpr std::string_view kPlugInKind = "schedule";

  virtual ~Schedule() = default;
  /// Factor on the peak learning rate at this step.
  virtual double factor(const Progress& progress) const = 0;
  /// Momentum at this step, where the schedule moves it; otherwise the optimizer's own.
  virtual std::optional<double> momentum(const Progress&) const { return {}; }
  /// Whether it rises by itself at the start, so that a warm-up before it would be a second one.
  virtual bool warms_up() const { return false; }
  /// Whether factor() depends on total_steps: then `train.epochs` cannot change on resume.
  virtual bool depends_on_length() const { return true; }
  /// The metric that `observe` waits for, such as "validation.loss", or empty.
  virtual std::string monitor() const { return {}; }
  /// Reduced metrics at the end of an epoch: "train.loss", "validation.accuracy", ...; those of the validation set are
  /// absent in epochs that are not evaluated.
  virtual void observe(const std::map<std::string, double>&) {}
  virtual void visit(StateVisitor&) {}
};

}  // namespace lockstep
