#include "distributed/tree_statistics_reducer.h"

#include <algorithm>

#include "core/base/error.h"
#include "distributed/lane_pieces.h"

namespace lockstep {

void TreeStatisticsReducer::reduce(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes, StreamView) {
  const int ranks = communicator_.size();
  require(lanes == lanes_of_rank(total_lanes, communicator_.rank(), ranks), "statistics: rank {} of {} has the lanes {} to {} of {}",
          communicator_.rank(), ranks, lanes.first, lanes.last, total_lanes);
  fold_mine(parts, lanes, total_lanes);
  bytes_.assign(static_cast<std::size_t>(ranks), 0);
  std::size_t doubles = 0;
  for (int r = 0; r < ranks; ++r) {
    std::size_t mine = 0;
    for (const LanePiece& piece : lane_pieces(parts, lanes_of_rank(total_lanes, r, ranks), total_lanes))
      mine += cover(piece.lanes, piece.group_lanes).size() * static_cast<std::size_t>(parts[piece.part].size);
    bytes_[static_cast<std::size_t>(r)] = mine * sizeof(double);
    doubles += mine;
  }
  receive_.resize(doubles);
  communicator_.all_gather(send_.data(), receive_.data(), bytes_);
  fold_all(parts, total_lanes);
}

void TreeStatisticsReducer::fold_mine(std::span<const StatisticPart> parts, LaneSpan lanes, int total_lanes) {
  send_.clear();
  for (const LanePiece& piece : lane_pieces(parts, lanes, total_lanes)) {
    const StatisticPart& part = parts[piece.part];
    scratch_.resize(static_cast<std::size_t>(FoldStack::slots(piece.lanes, piece.group_lanes) * part.size));
    FoldStack stack(piece.group_lanes);
    for (int i = 0; i < piece.lanes.count(); ++i) {
      const int lane = piece.lanes.first + i;
      const FoldStack::Step step = stack.push({lane, lane + 1});
      double* slot = scratch_.data() + step.slot * part.size;
      std::copy_n(part.local + (piece.skip + i) * part.size, part.size, slot);
      for (int m = 1; m <= step.merges; ++m) combine(part.kind, slot - m * part.size, slot - (m - 1) * part.size, part.size);
    }
    send_.insert(send_.end(), scratch_.begin(), scratch_.begin() + static_cast<std::int64_t>(stack.nodes().size()) * part.size);
  }
}

void TreeStatisticsReducer::fold_all(std::span<const StatisticPart> parts, int total_lanes) {
  const int ranks = communicator_.size();
  struct Cursor {
    std::vector<LanePiece> pieces;
    std::size_t next = 0;
    const double* values = nullptr;
  };
  std::vector<Cursor> cursors;
  const double* values = receive_.data();
  for (int r = 0; r < ranks; ++r) {
    cursors.push_back({lane_pieces(parts, lanes_of_rank(total_lanes, r, ranks), total_lanes), 0, values});
    values += bytes_[static_cast<std::size_t>(r)] / sizeof(double);
  }
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (int group = 0; group < group_count(parts[p], total_lanes); ++group) {
      std::vector<LaneSpan> nodes;
      scratch_.clear();
      int group_lanes = 0;
      for (Cursor& cursor : cursors) {
        if (cursor.next == cursor.pieces.size() || cursor.pieces[cursor.next].part != p || cursor.pieces[cursor.next].group != group)
          continue;
        const LanePiece& piece = cursor.pieces[cursor.next++];
        group_lanes = piece.group_lanes;
        const std::vector<LaneSpan> theirs = cover(piece.lanes, group_lanes);
        nodes.insert(nodes.end(), theirs.begin(), theirs.end());
        const double* end = cursor.values + static_cast<std::int64_t>(theirs.size()) * parts[p].size;
        scratch_.insert(scratch_.end(), cursor.values, end);
        cursor.values = end;
      }
      fold(parts[p].kind, nodes, group_lanes, scratch_.data(), parts[p].size);
      std::copy_n(scratch_.data(), parts[p].size, parts[p].result + group * parts[p].size);
    }
}

}  // namespace lockstep
