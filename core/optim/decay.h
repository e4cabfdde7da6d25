#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/options.h"
#include "core/base/text.h"

namespace lockstep {

/// `weight_decay` (default given by the optimizer) and `except = ["norm", "bias"]`, the parameter kinds without it.
struct DecayOptions {
  DecayOptions(Options& options, double fallback)
      : weight_decay(options.real("weight_decay", fallback, {.least = 0.0})), except(options.texts("except", std::vector<std::string>{})) {
    const std::vector<std::string> kinds = {"bias", "norm", "weight"};
    for (const std::string& kind : except)
      if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
        fail(ErrorKind::run_file, "{}\"except\": unknown parameter kind \"{}\"; known: {}", options.where("except"), kind, join(kinds));
  }

  double weight_decay;
  std::vector<std::string> except;
};

}  // namespace lockstep
