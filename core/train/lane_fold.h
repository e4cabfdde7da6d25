#pragma once

#include <functional>
#include <vector>

#include "core/model/lane_tree.h"
#include "core/train/program.h"

namespace lockstep {

/// A tile: the lanes that one call of a work segment covers. One lane in `exact` mode; a thread's share in `fast`.
struct Tile {
  LaneSpan lanes;
};

/// The tiles of a rank and which worker runs which: contiguous runs, so that each worker folds a span of lanes.
struct TileSchedule {
  std::vector<Tile> tiles;
  std::vector<LaneSpan> runs;  ///< by worker: tile numbers [first, last)

  /// `group_lanes` > 0: no tile crosses a border between groups of that many lanes.
  static TileSchedule make(RunMode mode, LaneSpan lanes, int workers, int group_lanes);
  std::int64_t largest_tile_lanes() const;
};

/// into += right, element by element, at the speed of the backend.
using AddFloats = std::function<void(float* into, const float* right, std::int64_t elements)>;

/// The sum over the lanes of a rank of one parameter's gradient. Workers write a slot for each tile and fold as they
/// go, with few slots; the rank folds what the workers leave. In `exact` mode along the lane tree.
class GradientFold {
 public:
  /// `elements` of one slot. `keep_lanes` gives each tile a slot of its own and folds at the end: for shared weights,
  /// whose uses are summed at the lane.
  GradientFold(RunMode mode, const TileSchedule& schedule, int total_lanes, std::int64_t elements, bool keep_lanes, const AddFloats& add);

  void begin();
  /// The slot that worker `worker` writes for tile number `tile`.
  float* slot(int worker, int tile);
  /// After the slot of that tile is complete: folds what can be folded. Not for `keep_lanes`.
  void written(int worker, int tile);
  /// All tiles are written: folds over the workers.
  void finish();

  /// After `finish`: the nodes, in order, and their sums.
  const std::vector<LaneSpan>& nodes() const { return nodes_; }
  float* sum(std::size_t node) const { return sums_[node]; }
  std::int64_t elements() const { return elements_; }

 private:
  struct Worker {
    std::vector<LaneSpan> nodes;
    HostBuffer slots;
  };
  void merge_top(std::vector<LaneSpan>& nodes, std::vector<float*>& sums) const;
  float* slot_at(const Worker& worker, std::size_t index) const;
  bool siblings(LaneSpan left, LaneSpan right) const;

  RunMode mode_;
  const TileSchedule& schedule_;
  int total_lanes_;
  std::int64_t elements_;
  bool keep_lanes_;
  const AddFloats& add_;
  std::vector<Worker> workers_;
  std::vector<LaneSpan> nodes_;
  std::vector<float*> sums_;
};

}  // namespace lockstep
