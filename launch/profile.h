#pragma once

#include <string>

#include "core/train/profile.h"

namespace lockstep {

/// Where the time of this rank's steps went: a table of operations and kernels.
std::string describe_profile(const Profile& profile);

}  // namespace lockstep
