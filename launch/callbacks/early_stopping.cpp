#include "launch/callbacks/early_stopping.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep {
namespace {

EarlyStopping::Mode mode_of(const std::string& monitor) {
  return monitor.ends_with("loss") || monitor.ends_with("error") ? EarlyStopping::Mode::least : EarlyStopping::Mode::most;
}

}  // namespace

EarlyStopping::EarlyStopping(Options options) : options_(std::move(options)) {
  if (options_.mode == Mode::automatic) options_.mode = mode_of(options_.monitor);
  if (options_.patience < 0) fail(ErrorKind::run_file, "early_stopping: patience: expected 0 or more, got {}", options_.patience);
  if (!(options_.min_delta >= 0)) fail(ErrorKind::run_file, "early_stopping: min_delta: expected 0 or more, got {}", options_.min_delta);
}

void EarlyStopping::on_epoch_end(const EpochInfo& info, LoopRequest& request) {
  const auto found = info.metrics.find(options_.monitor);
  if (found == info.metrics.end()) {
    const std::string set = options_.monitor.substr(0, options_.monitor.find('.') + 1);
    std::vector<std::string> known;
    for (const auto& [name, value] : info.metrics) known.push_back(name);
    const auto of_set = [&](const std::string& name) { return name.starts_with(set); };
    if (std::none_of(known.begin(), known.end(), of_set)) return;
    fail(ErrorKind::run_file, "early_stopping: no metric \"{}\"{}", options_.monitor, hint(options_.monitor, known));
  }
  const double value = found->second;
  const double gain = options_.mode == Mode::least ? best_ - value : value - best_;
  const bool better = !std::isnan(value) && (best_epoch_ < 0 || gain > options_.min_delta);
  if (better) {
    best_ = value;
    best_epoch_ = info.epoch;
    waited_ = 0;
  } else {
    ++waited_;
  }
  // Keras: patience 0 and 1 both stop at the first epoch without progress.
  const bool stops = !better && waited_ >= options_.patience;
  if (stops) {
    request.stop = true;
    request.reason = best_epoch_ < 0 ? fmt::format("early stopping: {} was never a number", options_.monitor)
                                     : fmt::format("early stopping: {} was best in epoch {} ({:.6g}), not better for {} epochs",
                                                   options_.monitor, best_epoch_ + 1, best_, waited_);
  }
  const bool ends = stops || info.step >= info.total_steps;
  if (ends && options_.restore_best && best_epoch_ >= 0 && best_epoch_ != info.epoch) request.restore_best = true;
}

void EarlyStopping::on_run_begin(LoopRequest& request) { request.stop |= waited_ > 0 && waited_ >= options_.patience; }

void EarlyStopping::visit(StateVisitor& visitor) {
  const StatePart part(visitor, "early_stopping");
  visitor.real("best", best_);
  visitor.integer("best_epoch", best_epoch_);
  visitor.integer("waited", waited_);
}

}  // namespace lockstep
