#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/base/formula.h"

namespace lockstep {

/// How an image moves along one axis. Output position i shows input position (flip ? extent - 1 - i : i) - by, and black
/// where that lies outside the image or i outside [first, last): what an earlier move pushed out does not come back.
struct alignas(16) AxisMove {
  std::int32_t by = 0, flip = 0;
  std::int32_t first = 0, last = std::numeric_limits<std::int32_t>::max();
  bool operator==(const AxisMove&) const = default;

  /// The input position shown at i, or -1 for black.
  LOCKSTEP_FORMULA std::int32_t source(std::int32_t i, std::int32_t extent) const {
    const std::int32_t from = (flip ? extent - 1 - i : i) - by;
    return i >= first && i < last && from >= 0 && from < extent ? from : -1;
  }

  /// Mirrors what it shows so far.
  void then_flip(std::int32_t extent) {
    flip = flip ? 0 : 1;
    const std::int32_t begin = first;
    first = extent - std::min(last, extent);
    last = extent - begin;
  }
  /// Shifts what it shows so far: position i shows what was at i - distance.
  void then_shift(std::int32_t distance, std::int32_t extent) {
    by += flip ? -distance : distance;
    first = std::max(first, 0) + distance;
    last = std::min(last, extent) + distance;
  }
};

/// How an image moves on its way to the model. Nothing moves by default.
struct PixelMove {
  AxisMove vertical, horizontal;
  bool operator==(const PixelMove&) const = default;
};

/// What a model is given for a stored number. Black is a stored 0.
LOCKSTEP_FORMULA inline float scaled_pixel(float stored, float scale, float offset) { return (stored + offset) * scale; }

}  // namespace lockstep
