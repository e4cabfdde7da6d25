#pragma once

#include <iosfwd>
#include <span>
#include <string>

namespace lockstep {

/// The whole program but for the process: chooses the subcommand, runs it, and turns every exception into one line
/// `lockstep: <message>` on `err` and the exit code of its kind (70 for what is no Error of ours). In a job of several
/// ranks the line starts with `[rank r] `, and the other ranks are taken along by the world's `abort`.
int run_program(std::span<const std::string> arguments, std::ostream& out, std::ostream& err);

}  // namespace lockstep
