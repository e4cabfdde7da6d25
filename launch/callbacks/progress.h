#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/train/callback.h"
#include "launch/terminal.h"

namespace lockstep {

/// Shows a run's progress: a bar that is redrawn, plain lines, JSON lines or nothing. Plain: a line right after the
/// first step, then one every `every_steps` steps but at most one a second, and at least one every 60 seconds; an epoch
/// always gets its summary. Rates and the time to go leave out the first step of the process (warm-up). Rank 0 alone.
class ProgressCallback : public Callback {
 public:
  struct Options {
    ProgressMode mode = ProgressMode::plain;  ///< chosen: not `automatic`
    std::int64_t every_steps = 50;
    int columns = 80;
    bool utf8 = false, color = false;
    /// Writes one piece of output at once; default: one write(2) to standard output.
    std::function<void(std::string_view)> write = {};
    /// Seconds since some start; default: a monotonic clock.
    std::function<double()> clock = {};
  };

  explicit ProgressCallback(Options options);

  void on_step_end(const StepInfo& info, LoopRequest& request) override;
  void on_epoch_end(const EpochInfo& info, LoopRequest& request) override;
  void on_run_end(std::string_view outcome) override;

 private:
  bool plain_line_is_due(double now, const StepInfo& info) const;
  void draw_bar(const StepInfo& info);
  void clear_bar();
  std::string epochs(std::int64_t epoch) const;
  std::string scaling(const StepInfo& info) const;
  double samples_per_second() const;
  double seconds_to_go(const StepInfo& info) const;

  Options options_;
  std::int64_t steps_ = 0, skipped_ = 0;  ///< seen by this process; those whose update was skipped
  double timed_seconds_ = 0;
  std::int64_t timed_samples_ = 0;
  double last_shown_ = 0;
  bool bar_is_drawn_ = false;
  std::int64_t steps_per_epoch_ = 0, total_steps_ = 0;
};

}  // namespace lockstep
