#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/train/program.h"
#include "core/train/reduction.h"

namespace lockstep {

/// What a rank of a device does to reduce statistics: steps of its own, an all_gather, more steps. A pure function of
/// the parts' kinds, sizes and groups and of the rank; their addresses play no part. Counts and places are in doubles.
struct StatisticsPlan {
  enum class Place : std::uint8_t {
    local,     ///< StatisticPart::local
    gathered,  ///< what the ranks send each other, rank after rank
    sorted,    ///< items that did not lie at equal distances in `gathered`
    result,    ///< StatisticPart::result
  };
  /// A fold of the items at from, from + stride, ...; or a copy, where there is one.
  struct Step {
    Place from = Place::local, to = Place::gathered;
    std::size_t part = 0;
    std::int64_t from_at = 0, to_at = 0;
    std::int64_t elements = 0;  ///< of an item
    std::int64_t stride = 0;
    std::vector<LaneSpan> nodes;  ///< of the items
    int lanes = 0;                ///< of their tree
  };
  std::vector<Step> before, after;
  std::vector<std::size_t> bytes;  ///< by rank; no all_gather where there is one rank
  std::int64_t gathered = 0;       ///< of all ranks
  std::int64_t mine_at = 0;        ///< where this rank's begin
  std::int64_t sorted = 0;
};

/// In `exact` mode the folds follow the lane tree of each group, in `fast` mode they go from left to right.
StatisticsPlan make_statistics_plan(RunMode mode, std::span<const StatisticPart> parts, int rank, int ranks, int total_lanes);

}  // namespace lockstep
