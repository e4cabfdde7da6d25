#include "launch/training_command.h"

#include <fmt/format.h>

#include <ostream>

#include "core/base/text.h"
#include "distributed/agree.h"
#include "distributed/world.h"
#include "launch/run_file.h"
#include "launch/shared_files.h"
#include "launch/signals.h"
#include "launch/training_run.h"

namespace lockstep {
namespace {

std::string outcome_line(const TrainingReport& report, const RunConfig& config) {
  std::string metrics;
  for (const auto& [name, value] : report.metrics) metrics += fmt::format(", {} {:.4f}", name, value);
  const char* how = report.outcome == Outcome::finished ? "done" : report.outcome == Outcome::interrupted ? "stopped, state saved" : "stopped at train.steps";
  std::string line = fmt::format("{}: step {}{}\nrun directory: {}\nstate digest: {}", how, report.step, metrics, config.run.directory, report.digest);
  if (report.outcome != Outcome::finished) line += fmt::format("\ngo on with: lockstep resume {}", config.run.directory);
  return line;
}

}  // namespace

RunConfig load_run_config(const std::string& path, std::span<const std::string> overrides) {
  const std::string file = find_recipe(path);
  Value root = read_run_file(file);
  for (const std::string& text : overrides) apply_override(root, text);
  return read_run_config(root, file == path ? path : path + ".toml");
}

std::vector<OptionSpec> training_options() {
  return {{.name = "progress", .value_name = "HOW", .help = "auto (default), bar, plain, json or off"},
          {.name = "change-trajectory", .value_name = "", .help = "allow a resumed run to differ in what alters its weights"},
          {.name = "profile", .value_name = "", .help = "print where the time went, by operation"}};
}

int run_training_command(const Arguments& arguments, CommandContext& context, const std::function<RunConfig()>& read_config, bool resume) {
  context.world = open_world();
  Communicator& ranks = *context.world;
  TrainingRequest request{.resume = resume, .change_trajectory = arguments.has("change-trajectory"), .profile = arguments.has("profile"),
                          .stop_requested = stop_requested};
  request.overrides = join(std::span(arguments.positional()).subspan(1), " ");
  agree_on(ranks, [&] { request.config = read_config(); });
  request.progress = arguments.value("progress", request.config.train.log.progress);
  install_signal_handlers();
  const TrainingReport report = run_training(request, ranks, context.out);
  if (ranks.rank() == 0 && request.progress != "off" && request.progress != "json") {
    context.out << outcome_line(report, request.config) << std::endl;
    if (request.profile) context.out << report.profile << std::flush;
  }
  ranks.close();
  return report.outcome == Outcome::interrupted ? static_cast<int>(ErrorKind::stopped) : 0;
}

}  // namespace lockstep
