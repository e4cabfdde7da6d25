#include "core/train/lane_fold.h"

#include <algorithm>

namespace lockstep {

TileSchedule TileSchedule::make(RunMode mode, LaneSpan lanes, int workers, int group_lanes) {
  TileSchedule schedule;
  for (int w = 0; w < workers; ++w) {
    const LaneSpan share{lanes.first + lanes.count() * w / workers, lanes.first + lanes.count() * (w + 1) / workers};
    const int first = static_cast<int>(schedule.tiles.size());
    int at = share.first;
    while (at < share.last) {
      int end = mode == RunMode::exact ? at + 1 : share.last;
      if (group_lanes > 0) end = std::min(end, (at / group_lanes + 1) * group_lanes);
      schedule.tiles.push_back({{at, end}});
      at = end;
    }
    schedule.runs.push_back({first, static_cast<int>(schedule.tiles.size())});
  }
  return schedule;
}

std::int64_t TileSchedule::largest_tile_lanes() const {
  std::int64_t most = 0;
  for (const Tile& tile : tiles) most = std::max<std::int64_t>(most, tile.lanes.count());
  return most;
}

GradientFold::GradientFold(RunMode mode, const TileSchedule& schedule, int total_lanes, std::int64_t elements, bool keep_lanes, const AddFloats& add)
    : mode_(mode), schedule_(schedule), total_lanes_(total_lanes), elements_((elements + 15) / 16 * 16), keep_lanes_(keep_lanes), add_(add) {
  for (const LaneSpan& run : schedule.runs) {
    int slots = std::min(run.count(), 2);
    if (keep_lanes)
      slots = run.count();
    else if (mode == RunMode::exact && run.count() > 0)
      slots = FoldStack::slots({schedule.tiles[static_cast<std::size_t>(run.first)].lanes.first, schedule.tiles[static_cast<std::size_t>(run.last) - 1].lanes.last},
                               total_lanes);
    workers_.push_back({{}, HostBuffer(static_cast<std::size_t>(slots * elements_) * sizeof(float))});
  }
}

float* GradientFold::slot_at(const Worker& worker, std::size_t index) const {
  return reinterpret_cast<float*>(worker.slots.data()) + static_cast<std::int64_t>(index) * elements_;
}

bool GradientFold::siblings(LaneSpan left, LaneSpan right) const {
  return mode_ == RunMode::fast || are_siblings(left, right, total_lanes_);
}

void GradientFold::begin() {
  for (Worker& worker : workers_) worker.nodes.clear();
  nodes_.clear();
  sums_.clear();
}

float* GradientFold::slot(int worker, int tile) {
  const auto w = static_cast<std::size_t>(worker);
  if (keep_lanes_) return slot_at(workers_[w], static_cast<std::size_t>(tile - schedule_.runs[w].first));
  return slot_at(workers_[w], workers_[w].nodes.size());
}

void GradientFold::written(int worker, int tile) {
  Worker& mine = workers_[static_cast<std::size_t>(worker)];
  mine.nodes.push_back(schedule_.tiles[static_cast<std::size_t>(tile)].lanes);
  while (mine.nodes.size() > 1 && siblings(mine.nodes[mine.nodes.size() - 2], mine.nodes.back())) {
    add_(slot_at(mine, mine.nodes.size() - 2), slot_at(mine, mine.nodes.size() - 1), elements_);
    const int last = mine.nodes.back().last;
    mine.nodes.pop_back();
    mine.nodes.back().last = last;
  }
}

void GradientFold::merge_top(std::vector<LaneSpan>& nodes, std::vector<float*>& sums) const {
  while (nodes.size() > 1 && siblings(nodes[nodes.size() - 2], nodes.back())) {
    add_(sums[sums.size() - 2], sums.back(), elements_);
    const int last = nodes.back().last;
    nodes.pop_back();
    sums.pop_back();
    nodes.back().last = last;
  }
}

void GradientFold::finish() {
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    Worker& worker = workers_[w];
    if (keep_lanes_)
      for (int t = schedule_.runs[w].first; t < schedule_.runs[w].last; ++t) worker.nodes.push_back(schedule_.tiles[static_cast<std::size_t>(t)].lanes);
    for (std::size_t i = 0; i < worker.nodes.size(); ++i) {
      nodes_.push_back(worker.nodes[i]);
      sums_.push_back(slot_at(worker, i));
      merge_top(nodes_, sums_);
    }
  }
}

}  // namespace lockstep
