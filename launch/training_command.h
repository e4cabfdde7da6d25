#pragma once

#include <span>
#include <string>

#include "launch/command.h"
#include "launch/run_config.h"

namespace lockstep {

/// A run file with overrides, read and checked; relative paths are the run file's. A shipped recipe by its name (find_recipe) is read as
/// if it lay in the current folder.
RunConfig load_run_config(const std::string& path, std::span<const std::string> overrides);

/// What `train` and `resume` share: opens the world, reads the configuration on every rank alike, trains, and says how it ended.
/// Returns 0, or 75 where the run was interrupted with its state saved.
int run_training_command(const Arguments& arguments, CommandContext& context, const std::function<RunConfig()>& read_config, bool resume);

/// The options of both: --progress, --change-trajectory, --profile.
std::vector<OptionSpec> training_options();

}  // namespace lockstep
