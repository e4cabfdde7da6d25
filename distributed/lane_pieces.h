#pragma once

#include <span>
#include <vector>

#include "core/train/reduction.h"

namespace lockstep {

/// The part of a statistics group that lies on one rank.
struct LanePiece {
  std::size_t part = 0;  ///< of the parts of one call
  int group = 0;
  LaneSpan lanes;       ///< counted from the group's first lane
  int group_lanes = 0;  ///< lanes of this group; the last one may be short
  int skip = 0;         ///< lanes of the rank before this piece
};

/// The groups of lanes of a part: 1 when it has one group over all.
int group_count(const StatisticPart& part, int total_lanes);

/// The pieces on a rank with these lanes, part by part and group by group. A group may be cut by a rank's border.
std::vector<LanePiece> lane_pieces(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes);

}  // namespace lockstep
