#pragma once

#include <cstdint>

#include "core/backend/kernel.h"
#include "core/base/formula.h"

namespace lockstep {

/// The order of a "fold." op's additions: its items are taken one after another, and after item i the two newest partial results
/// become one merges(i) times. One result is left. Small enough to be a kernel's argument.
struct FoldProgram {
  static constexpr int kMostItems = 4096;
  static constexpr int kMostPartial = 13;  ///< partial results at a time: the levels of a tree of kMostItems lanes

  /// From the attributes "nodes", "lanes" and "sequential" (engine_ops.h).
  static FoldProgram of(const OpSpec& op);

  LOCKSTEP_FORMULA int merges(int item) const { return static_cast<int>(nibbles[item / 8] >> (item % 8 * 4) & 15u); }

  int items = 0;
  std::uint32_t nibbles[kMostItems / 8] = {};
};

}  // namespace lockstep
