#include "distributed/statistics_plan.h"

#include "distributed/lane_pieces.h"

namespace lockstep {
namespace {

using Spot = StatisticsPlan::Place;
using Step = StatisticsPlan::Step;

/// A sum over lanes that a rank sends.
struct Item {
  std::int64_t at = 0;
  LaneSpan node;
};

/// The nodes that a rank sends for a piece.
std::vector<LaneSpan> sent_nodes(RunMode mode, const LanePiece& piece) {
  return mode == RunMode::exact ? cover(piece.lanes, piece.group_lanes) : std::vector<LaneSpan>{piece.lanes};
}

std::vector<LaneSpan> single_lanes(LaneSpan span) {
  std::vector<LaneSpan> lanes;
  for (int lane = span.first; lane < span.last; ++lane) lanes.push_back({lane, lane + 1});
  return lanes;
}

/// Copies of neighbours to neighbours become one.
void add(std::vector<Step>& steps, Step step) {
  if (!steps.empty() && step.nodes.size() == 1) {
    Step& last = steps.back();
    const bool same_place =
        last.from == step.from && last.to == step.to && (last.part == step.part || (step.from != Spot::local && step.to != Spot::result));
    if (last.nodes.size() == 1 && same_place && last.from_at + last.elements == step.from_at && last.to_at + last.elements == step.to_at) {
      last.elements += step.elements;
      return;
    }
  }
  steps.push_back(std::move(step));
}

class Planner {
 public:
  Planner(RunMode mode, std::span<const StatisticPart> parts, int ranks, int total_lanes)
      : mode_(mode), parts_(parts), total_lanes_(total_lanes) {
    for (int r = 0; r < ranks; ++r) pieces_.push_back(lane_pieces(parts, lanes_of_rank(total_lanes, r, ranks), total_lanes));
  }

  StatisticsPlan plan(int rank) {
    if (pieces_.size() == 1) {
      for (const LanePiece& piece : pieces_[0])
        fold_lanes(plan_.after, piece, piece.lanes, Spot::result, piece.group * parts_[piece.part].size);
      return std::move(plan_);
    }
    lay_out(rank);
    std::int64_t at = plan_.mine_at;
    for (const LanePiece& piece : pieces_[static_cast<std::size_t>(rank)])
      for (const LaneSpan& node : sent_nodes(mode_, piece)) {
        fold_lanes(plan_.before, piece, node, Spot::gathered, at);
        at += parts_[piece.part].size;
      }
    for (std::size_t p = 0, group_index = 0; p < parts_.size(); ++p)
      for (int group = 0; group < group_count(parts_[p], total_lanes_); ++group) fold_group(p, group, groups_[group_index++]);
    return std::move(plan_);
  }

 private:
  struct Group {
    std::vector<Item> items;
    int lanes = 0;
  };

  /// Who sends what, and where it arrives.
  void lay_out(int rank) {
    std::vector<std::size_t> first_group;
    std::size_t groups = 0;
    for (const StatisticPart& part : parts_) {
      first_group.push_back(groups);
      groups += static_cast<std::size_t>(group_count(part, total_lanes_));
    }
    groups_.resize(groups);
    for (std::size_t r = 0; r < pieces_.size(); ++r) {
      if (r == static_cast<std::size_t>(rank)) plan_.mine_at = plan_.gathered;
      const std::int64_t begin = plan_.gathered;
      for (const LanePiece& piece : pieces_[r]) {
        Group& group = groups_[first_group[piece.part] + static_cast<std::size_t>(piece.group)];
        group.lanes = piece.group_lanes;
        for (const LaneSpan& node : sent_nodes(mode_, piece)) {
          group.items.push_back({plan_.gathered, node});
          plan_.gathered += parts_[piece.part].size;
        }
      }
      plan_.bytes.push_back(static_cast<std::size_t>(plan_.gathered - begin) * sizeof(double));
    }
  }

  /// This rank's lanes of `node`, from the caller's memory.
  void fold_lanes(std::vector<Step>& steps, const LanePiece& piece, LaneSpan node, Spot to, std::int64_t to_at) const {
    const std::int64_t size = parts_[piece.part].size;
    add(steps, {.from = Spot::local,
                .to = to,
                .part = piece.part,
                .from_at = (piece.skip + node.first - piece.lanes.first) * size,
                .to_at = to_at,
                .elements = size,
                .stride = size,
                .nodes = single_lanes(node),
                .lanes = piece.group_lanes});
  }

  void fold_group(std::size_t part, int number, const Group& group) {
    const std::int64_t size = parts_[part].size;
    const std::vector<Item>& items = group.items;
    Step fold{.from = Spot::gathered,
              .to = Spot::result,
              .part = part,
              .from_at = items[0].at,
              .to_at = number * size,
              .elements = size,
              .stride = items.size() > 1 ? items[1].at - items[0].at : size,
              .lanes = group.lanes};
    bool equal_distances = true;
    for (std::size_t i = 0; i < items.size(); ++i) {
      fold.nodes.push_back(items[i].node);
      equal_distances &= items[i].at == fold.from_at + static_cast<std::int64_t>(i) * fold.stride;
    }
    if (!equal_distances) {
      fold.from = Spot::sorted;
      fold.from_at = plan_.sorted;
      fold.stride = size;
      for (const Item& item : items) {
        add(plan_.after, {.from = Spot::gathered,
                          .to = Spot::sorted,
                          .part = part,
                          .from_at = item.at,
                          .to_at = plan_.sorted,
                          .elements = size,
                          .stride = size,
                          .nodes = {item.node},
                          .lanes = group.lanes});
        plan_.sorted += size;
      }
    }
    add(plan_.after, std::move(fold));
  }

  RunMode mode_;
  std::span<const StatisticPart> parts_;
  int total_lanes_;
  std::vector<std::vector<LanePiece>> pieces_;
  std::vector<Group> groups_;
  StatisticsPlan plan_;
};

}  // namespace

StatisticsPlan make_statistics_plan(RunMode mode, std::span<const StatisticPart> parts, int rank, int ranks, int total_lanes) {
  return Planner(mode, parts, ranks, total_lanes).plan(rank);
}

}  // namespace lockstep
