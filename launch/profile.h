#pragma once

#include <span>
#include <string>

#include "core/train/profile.h"

namespace lockstep {

/// What the device can do at most: the two roofs of a roofline (core/model/work.h). 0: not known.
struct Roofs {
  double bytes_per_second = 0, operations_per_second = 0;

  /// The seconds that the work takes at least: max(bytes / bandwidth, operations / rate).
  double seconds(const Work& work) const;
};

/// Where the time of this rank's steps went: a table of operations and kernels in the order given, with what they moved and computed, and a
/// line for all together. With roofs it ends with the share of its roofline that each reached. The entries' seconds are of `steps` steps.
std::string describe_profile(std::span<const ProfileEntry> entries, std::int64_t steps, const Roofs& roofs = {});

}  // namespace lockstep
