#pragma once

#include <string>
#include <vector>

#include "launch/arguments.h"
#include "launch/bench/device_rates.h"

namespace lockstep {

/// The options of whoever measures a device: --copy-size, --product-size, and how long a measurement takes, under the name `seconds`.
std::vector<OptionSpec> rate_options(const std::string& seconds);
RateRequest read_rate_options(const Arguments& arguments, const std::string& seconds);

}  // namespace lockstep
