#include "distributed/fast_statistics_reducer.h"

#include <algorithm>

#include "distributed/lane_pieces.h"

namespace lockstep {

void FastStatisticsReducer::reduce(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes, StreamView) {
  send_.clear();
  for (const LanePiece& piece : lane_pieces(parts, lanes, total_lanes)) {
    const StatisticPart& part = parts[piece.part];
    const double* local = part.local + piece.skip * part.size;
    send_.insert(send_.end(), local, local + part.size);
    double* sum = send_.data() + (send_.size() - static_cast<std::size_t>(part.size));
    for (int i = 1; i < piece.lanes.count(); ++i) combine(part.kind, sum, local + i * part.size, part.size);
  }
  std::vector<std::vector<LanePiece>> pieces;
  std::vector<std::size_t> bytes;
  std::size_t doubles = 0;
  for (int r = 0; r < communicator_.size(); ++r) {
    pieces.push_back(lane_pieces(parts, lanes_of_rank(total_lanes, r, communicator_.size()), total_lanes));
    std::size_t theirs = 0;
    for (const LanePiece& piece : pieces.back()) theirs += static_cast<std::size_t>(parts[piece.part].size);
    bytes.push_back(theirs * sizeof(double));
    doubles += theirs;
  }
  receive_.resize(doubles);
  communicator_.all_gather(send_.data(), receive_.data(), bytes);

  for (const StatisticPart& part : parts) std::fill_n(part.result, group_count(part, total_lanes) * part.size, 0.0);
  const double* values = receive_.data();
  for (const std::vector<LanePiece>& theirs : pieces)
    for (const LanePiece& piece : theirs) {
      const StatisticPart& part = parts[piece.part];
      combine(part.kind, part.result + piece.group * part.size, values, part.size);
      values += part.size;
    }
}

}  // namespace lockstep
