#pragma once

#include <functional>

namespace lockstep::cuda {

/// A variable of the environment, or null.
using Environment = std::function<const char*(const char*)>;

/// How many devices this process sees: at least 1. `usage` error `no cuda device: ...` that says why there is none: no
/// driver, one that is too old, devices that are hidden, or the runtime's own words.
int count_devices(const Environment& environment);

/// This rank's device among `visible`: 0 where there is one alone, else the launcher's number of the rank on its host. `usage`
/// error where the host has more ranks than devices.
int choose_device(int visible, const Environment& environment);

}  // namespace lockstep::cuda
