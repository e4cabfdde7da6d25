#pragma once

#include <string_view>

#include "core/base/options.h"

namespace lockstep {

/// The main option of a schedule that may be written as a string alone: `"cosine"` stands for the fallback.
inline double main_real(Options& options, std::string_view name, double fallback, RealRange range) {
  const Value* value = options.take(name);
  if (value && value->is_boolean() && std::get<bool>(value->data())) return fallback;
  return options.real(name, fallback, range);
}

}  // namespace lockstep
