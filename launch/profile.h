#pragma once

#include <cstdint>
#include <string>

#include "core/train/program.h"

namespace lockstep {

/// Where a program's time went, summed over the threads of this rank: a table of operations with seconds, share and
/// milliseconds a step.
std::string describe_profile(Program& program, std::int64_t steps);

}  // namespace lockstep
