#pragma once

#include <string>

namespace lockstep {

/// `--version`: first line `lockstep 0.1.0 (git abcdef1, Release, GNU 12.2.0)`, then what this build was made with, which
/// MPI plug-in a job would take and which MPI it stands on, and what this processor can do, one fact a line.
std::string describe_version();

/// The first of those lines: names a build in checkpoints and between ranks.
std::string version_line();

}  // namespace lockstep
