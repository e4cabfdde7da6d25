#include "launch/callbacks/tensorboard.h"

#include <algorithm>
#include <chrono>

namespace lockstep {
namespace {

double system_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

TensorBoard::Options with_defaults(TensorBoard::Options options) {
  if (!options.clock) options.clock = system_seconds;
  options.every_steps = std::max<std::int64_t>(options.every_steps, 1);
  return options;
}

}  // namespace

TensorBoard::TensorBoard(Options options) : options_(with_defaults(std::move(options))), file_(options_.directory, options_.clock()) {
  const double now = options_.clock();
  if (options_.resumed_step > 0) file_.session_start(now, options_.resumed_step + 1);
  if (!options_.run_text.empty()) file_.text(now, options_.resumed_step, "run_file", "```toml\n" + options_.run_text + "\n```");
}

void TensorBoard::on_step_end(const StepInfo& info, LoopRequest&) {
  if (!first_ && info.step % options_.every_steps != 0) return;
  const double now = options_.clock();
  file_.scalar(now, info.step, "train/step_loss", info.loss);
  file_.scalar(now, info.step, "train/learning_rate", info.learning_rate);
  file_.scalar(now, info.step, "train/momentum", info.momentum);
  file_.scalar(now, info.step, "train/gradient_norm", info.gradient_norm);
  if (info.loss_scale != 1) file_.scalar(now, info.step, "train/loss_scale", info.loss_scale);
  // The first step of a process warms up; its speed says nothing.
  if (!first_ && info.step_seconds > 0)
    file_.scalar(now, info.step, "train/samples_per_second", static_cast<double>(info.samples) / info.step_seconds);
  first_ = false;
}

void TensorBoard::on_epoch_end(const EpochInfo& info, LoopRequest&) {
  const double now = options_.clock();
  for (const auto& [name, value] : info.metrics) {
    std::string tag = name;
    std::replace(tag.begin(), tag.end(), '.', '/');
    file_.scalar(now, info.step, tag, value);
  }
}

}  // namespace lockstep
