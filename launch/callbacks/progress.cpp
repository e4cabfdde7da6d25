#include "launch/callbacks/progress.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "core/base/text.h"

namespace lockstep {
namespace {

constexpr double kMostLinesEvery = 1.0;
constexpr double kLeastLinesEvery = 60.0;
constexpr double kRedrawEvery = 0.1;
constexpr int kBarCells = 20;

void write_standard_output(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(STDOUT_FILENO, text.data(), text.size());
    if (done <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(done));
  }
}

double monotonic_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Four decimals, or an exponent where those would show too little.
std::string number(double value) {
  const double size = std::fabs(value);
  return size != 0 && (size < 1e-3 || size >= 1e6) ? fmt::format("{:.4e}", value) : fmt::format("{:.4f}", value);
}

std::string count(double value) { return format_count(std::llround(value)); }

nlohmann::ordered_json metrics_json(const std::map<std::string, double>& metrics) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : metrics) json[name] = value;
  return json;
}

}  // namespace

ProgressCallback::ProgressCallback(Options options) : options_(std::move(options)) {
  if (!options_.write) options_.write = write_standard_output;
  if (!options_.clock) options_.clock = monotonic_seconds;
  options_.every_steps = std::max<std::int64_t>(options_.every_steps, 1);
}

double ProgressCallback::samples_per_second() const {
  return timed_seconds_ > 0 ? static_cast<double>(timed_samples_) / timed_seconds_ : 0;
}

double ProgressCallback::seconds_to_go(const StepInfo& info) const {
  if (steps_ < 2) return NAN;
  return timed_seconds_ / static_cast<double>(steps_ - 1) * static_cast<double>(info.total_steps - info.step);
}

std::string ProgressCallback::epochs(std::int64_t epoch) const {
  if (steps_per_epoch_ <= 0) return fmt::format("epoch {}", epoch + 1);
  return fmt::format("epoch {}/{}", epoch + 1, (total_steps_ + steps_per_epoch_ - 1) / steps_per_epoch_);
}

/// The loss scale where there is one, and how often it was too large.
std::string ProgressCallback::scaling(const StepInfo& info) const {
  if (info.loss_scale == 1 && skipped_ == 0) return "";
  return fmt::format("  loss scale {:g}", info.loss_scale) + (skipped_ > 0 ? fmt::format("  skipped {}", format_count(skipped_)) : "");
}

bool ProgressCallback::plain_line_is_due(double now, const StepInfo& info) const {
  if (steps_ == 1) return true;
  const double since = now - last_shown_;
  return since >= kLeastLinesEvery || (info.step % options_.every_steps == 0 && since >= kMostLinesEvery);
}

void ProgressCallback::on_step_end(const StepInfo& info, LoopRequest&) {
  if (options_.mode == ProgressMode::off) return;
  ++steps_;
  if (!info.updated) ++skipped_;
  steps_per_epoch_ = info.steps_per_epoch;
  total_steps_ = info.total_steps;
  if (steps_ > 1) {
    timed_seconds_ += info.step_seconds;
    timed_samples_ += info.samples;
  }
  const double now = options_.clock();
  if (options_.mode == ProgressMode::bar) {
    if (steps_ > 1 && now - last_shown_ < kRedrawEvery && info.step < info.total_steps) return;
    last_shown_ = now;
    return draw_bar(info);
  }
  if (!plain_line_is_due(now, info)) return;
  last_shown_ = now;
  if (options_.mode == ProgressMode::json) {
    nlohmann::ordered_json json = {{"event", "step"},     {"step", info.step}, {"total_steps", info.total_steps},
                                   {"epoch", info.epoch}, {"loss", info.loss}, {"learning_rate", info.learning_rate}};
    if (!scaling(info).empty()) json["loss_scale"] = info.loss_scale, json["skipped"] = skipped_;
    if (steps_ > 1) json["samples_per_second"] = samples_per_second();
    if (steps_ > 1) json["seconds_to_go"] = seconds_to_go(info);
    return options_.write(json.dump() + "\n");
  }
  const std::string speed =
      steps_ > 1 ? fmt::format("  {} samples/s  to go {}", count(samples_per_second()), format_duration(seconds_to_go(info))) : "";
  options_.write(fmt::format("{}  step {}/{}  loss {}  rate {}{}{}\n", epochs(info.epoch), info.step, info.total_steps, number(info.loss),
                             number(info.learning_rate), scaling(info), speed));
}

void ProgressCallback::draw_bar(const StepInfo& info) {
  const std::int64_t cells =
      info.steps_per_epoch > 0 ? std::clamp<std::int64_t>(info.epoch_step * kBarCells / info.steps_per_epoch, 0, kBarCells) : 0;
  std::string bar;
  for (int i = 0; i < kBarCells; ++i) {
    const bool done = i < cells;
    if (options_.color && (i == 0 || i == cells)) bar += done ? "\x1b[32m" : "\x1b[2m";
    bar += options_.utf8 && (options_.color || done) ? "\u2501" : done ? "=" : ".";
  }
  if (options_.color) bar += "\x1b[0m";
  const std::string head = epochs(info.epoch) + " ";
  std::string tail = fmt::format(" {}/{}  loss {}", info.epoch_step, info.steps_per_epoch, number(info.loss));
  tail += scaling(info);
  if (steps_ > 1) tail += fmt::format("  {} samples/s  to go {}", count(samples_per_second()), format_duration(seconds_to_go(info)));
  // A line that wraps cannot be redrawn; the last column stays free.
  const int room = options_.columns - 1 - kBarCells - static_cast<int>(head.size());
  if (room < static_cast<int>(tail.size())) tail.resize(static_cast<std::size_t>(std::max(room, 0)));
  if (room < 0) return;
  options_.write("\r\x1b[K" + head + bar + tail);
  bar_is_drawn_ = true;
}

void ProgressCallback::clear_bar() {
  if (bar_is_drawn_) options_.write("\r\x1b[K");
  bar_is_drawn_ = false;
}

void ProgressCallback::on_epoch_end(const EpochInfo& info, LoopRequest&) {
  if (options_.mode == ProgressMode::off) return;
  last_shown_ = options_.clock();
  const double speed = info.seconds > 0 ? static_cast<double>(info.samples) / info.seconds : 0;
  if (options_.mode == ProgressMode::json) {
    const nlohmann::ordered_json json = {
        {"event", "epoch"},        {"step", info.step},           {"total_steps", info.total_steps},      {"epoch", info.epoch},
        {"seconds", info.seconds}, {"samples_per_second", speed}, {"metrics", metrics_json(info.metrics)}};
    return options_.write(json.dump() + "\n");
  }
  clear_bar();
  std::string line = fmt::format("{} done  {}  {} samples/s", epochs(info.epoch), format_duration(info.seconds), count(speed));
  for (const auto& [name, value] : info.metrics) line += fmt::format("  {} {}", name, number(value));
  options_.write(line + "\n");
}

void ProgressCallback::on_run_end(std::string_view outcome) {
  if (options_.mode == ProgressMode::off) return;
  clear_bar();
  if (options_.mode == ProgressMode::json)
    options_.write(nlohmann::ordered_json{{"event", "end"}, {"outcome", outcome}}.dump() + "\n");
  else if (!outcome.empty())
    options_.write(fmt::format("{}\n", outcome));
}

}  // namespace lockstep
