#pragma once

#include <string>

#include "launch/bench/step_bench.h"
#include "launch/profile.h"

namespace lockstep {

/// The roofs of a bench: what copies and products of its precision reached on this device.
Roofs roofs_of(const StepResults& results);

/// For people: what ran, time a step, samples a second, memory, and the table of the profile. Empty parts are left out.
std::string step_text(const StepResults& results);

/// For programs: launch/bench/README.md.
std::string step_json(const StepResults& results);
/// Lines of `--serve`, without their end.
std::string ready_json(const StepFacts& facts);
std::string served_json(const Stopwatch::Block& block);

}  // namespace lockstep
