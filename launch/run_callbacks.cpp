#include "launch/run_callbacks.h"

#include <unistd.h>

#include <cstdlib>
#include <ostream>

#include "launch/callbacks/early_stopping.h"
#include "launch/callbacks/metrics_csv.h"
#include "launch/callbacks/metrics_jsonl.h"
#include "launch/callbacks/progress.h"
#include "launch/callbacks/tensorboard.h"
#include "launch/resolved_run.h"
#include "launch/terminal.h"

namespace lockstep {
namespace {

EarlyStopping::Options stopping_options(const EarlyStoppingOptions& options) {
  return {.monitor = options.monitor, .patience = options.patience, .min_delta = options.min_delta,
          .mode = options.larger_is_better ? EarlyStopping::Mode::most : EarlyStopping::Mode::least, .restore_best = options.restore_best};
}

ProgressCallback::Options progress_options(const RunCallbacks::Options& options) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  return {.mode = choose_progress(parse_progress(options.progress), terminal),
          .every_steps = options.config.train.log.every_steps,
          .columns = terminal.columns > 0 ? terminal.columns : 80,
          .utf8 = terminal.utf8,
          .color = choose_color(ColorMode::automatic, std::getenv("FORCE_COLOR"), std::getenv("CLICOLOR_FORCE"), std::getenv("NO_COLOR"), terminal),
          .write = [&out = options.out](std::string_view text) { out << text << std::flush; }};
}

/// The columns of an epoch: what the trainer and the evaluator report.
std::vector<std::string> metric_names(const RunConfig& config) {
  std::vector<std::string> names = {"train.loss"};
  if (config.data.validation.empty()) return names;
  names.push_back("validation.loss");
  for (const Value& metric : config.train.metrics) {
    const Value* name = metric.find("name");
    names.push_back("validation." + (name ? name->as_text() : plug_in_name<Metric>(metric, "[train] metrics")));
  }
  return names;
}

}  // namespace

RunCallbacks::RunCallbacks(const Options& options) : options_(options) {
  if (const auto& stopping = options.config.train.early_stopping) callbacks_.push_back(std::make_unique<EarlyStopping>(stopping_options(*stopping)));
}

RunCallbacks::~RunCallbacks() = default;

std::vector<Callback*> RunCallbacks::list() const {
  std::vector<Callback*> result;
  for (const auto& callback : callbacks_) result.push_back(callback.get());
  return result;
}

void RunCallbacks::begin(std::int64_t step) {
  if (!options_.root) return;
  const RunPaths& paths = options_.paths;
  const TrainOptions& train = options_.config.train;
  if (!log_) note("");
  callbacks_.push_back(std::make_unique<MetricsCsv>(MetricsCsv::Options{.path = paths.metrics_csv(), .metrics = metric_names(options_.config), .resumed_step = step}));
  callbacks_.push_back(std::make_unique<MetricsJsonl>(MetricsJsonl::Options{.path = paths.metrics_jsonl(), .resumed_step = step}));
  if (train.log.tensorboard)
    callbacks_.push_back(std::make_unique<TensorBoard>(
        TensorBoard::Options{.directory = paths.tensorboard(), .run_text = resolved_run_text(options_.config), .resumed_step = step}));
  callbacks_.push_back(std::make_unique<ProgressCallback>(progress_options(options_)));
}

void RunCallbacks::end(std::string_view outcome) {
  for (const auto& callback : callbacks_) callback->on_run_end(outcome);
}

void RunCallbacks::note(std::string_view line) {
  if (!options_.root) return;
  if (!log_) log_ = std::make_unique<Log>(Log::Options{.file = options_.paths.log(), .rank = 0});
  if (line.empty()) return;
  log_->info(line);
  if (options_.progress != "off" && options_.progress != "json") options_.out << line << std::endl;
}

}  // namespace lockstep
