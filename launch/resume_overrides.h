#pragma once

#include "launch/run_config.h"

namespace lockstep {

/// `usage` error that names the first key whose change would alter what the run learns: allowed are those of a short
/// list, and train.epochs where the schedule does not depend on the run's length.
void require_same_trajectory(const RunConfig& before, const RunConfig& after);

}  // namespace lockstep
