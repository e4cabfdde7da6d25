#include "distributed/lane_pieces.h"

#include <algorithm>

namespace lockstep {

int group_count(const StatisticPart& part, int total_lanes) {
  return part.group_lanes > 0 ? (total_lanes + part.group_lanes - 1) / part.group_lanes : 1;
}

std::vector<LanePiece> lane_pieces(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes) {
  std::vector<LanePiece> pieces;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const int size = parts[p].group_lanes > 0 ? parts[p].group_lanes : total_lanes;
    for (int at = lanes.first; at < lanes.last;) {
      const int group = at / size, first = group * size;
      const int end = std::min(lanes.last, first + size);
      pieces.push_back({p, group, {at - first, end - first}, std::min(size, total_lanes - first), at - lanes.first});
      at = end;
    }
  }
  return pieces;
}

}  // namespace lockstep
