#pragma once

#include <cstdint>

#include "core/backend/kernel.h"
#include "core/base/error.h"

namespace lockstep::cpu {

/// The labels of a call, each within [0, classes); `content` error that names the row of the batch otherwise.
inline const std::int64_t* checked_labels(const OpSpec& spec, const KernelCall& call, std::int64_t classes) {
  const auto* labels = static_cast<const std::int64_t*>(call.reads[1]);
  for (std::int64_t r = 0; r < call.rows; ++r)
    if (labels[r] < 0 || labels[r] >= classes)
      fail(ErrorKind::content, "{}: batch row {}: expected a label in [0, {}), got {}", spec.layer, call.first_row + r, classes, labels[r]);
  return labels;
}

}  // namespace lockstep::cpu
