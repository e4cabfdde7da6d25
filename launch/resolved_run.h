#pragma once

#include <string>

#include "launch/run_config.h"
#include "launch/run_directory.h"

namespace lockstep {

/// The run file with every default filled in and paths that hold wherever it is read: what `resume` starts from.
std::string resolved_run_text(const RunConfig& config);

/// A path of the run file, as it holds wherever the run file is read.
std::string absolute_path(const RunConfig& config, const std::string& path);

/// Writes it into a new run directory. Rank 0 alone; `io` errors.
void write_resolved_run(const RunPaths& paths, const RunConfig& config);

}  // namespace lockstep
