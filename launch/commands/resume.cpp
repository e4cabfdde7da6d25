#include <filesystem>

#include "launch/training_command.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep resume runs/first
  mpirun -np 3 lockstep resume runs/first
  lockstep resume runs/first train.learning_rate.peak=0.05 --change-trajectory

Goes on from the newest checkpoint that verifies, on any number of ranks, to the same bits. KEY=VALUE may change what
cannot alter the weights: threads, logging, checkpoints, time limits, train.steps, and train.epochs where the schedule
does not depend on the length. Anything else needs --change-trajectory and is recorded in log.txt.
)";

int run(const Arguments& arguments, CommandContext& context) {
  const auto& given = arguments.positional();
  if (given.empty()) fail(ErrorKind::usage, "resume: expected a run directory; see \"lockstep resume --help\"");
  const auto overrides = std::span(given).subspan(1);
  const auto read = [&] {
    const std::string path = (std::filesystem::path(given[0]) / "run.toml").string();
    if (!std::filesystem::exists(path)) fail(ErrorKind::usage, "resume: \"{}\" holds no run: expected {}", given[0], path);
    RunConfig config = load_run_config(path, overrides);
    config.run.directory = given[0];
    return config;
  };
  return run_training_command(arguments, context, read, true);
}

const RegisterCommand registered({.name = "resume",
                                  .summary = "go on with the run of a directory",
                                  .usage = "RUN_DIR [KEY=VALUE ...]",
                                  .help = kHelp,
                                  .options = training_options(),
                                  .run = run});

}  // namespace
}  // namespace lockstep
