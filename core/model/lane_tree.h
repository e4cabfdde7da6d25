#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/phase.h"

namespace lockstep {

/// The lanes [first, last) of a batch.
struct LaneSpan {
  int first = 0, last = 0;
  int count() const { return last - first; }
  bool operator==(const LaneSpan&) const = default;
};

/// The lanes of a rank: [rank*lanes/ranks, (rank+1)*lanes/ranks), rounded down.
LaneSpan lanes_of_rank(int lanes, int rank, int ranks);

/// The fixed binary tree over lanes 0..lanes-1: level-l node i covers [i*2^l, min((i+1)*2^l, lanes)). Sums that follow
/// it have the same bits however the lanes are spread over ranks and threads.
/// True when `left` and `right` are the two children of a node.
bool are_siblings(LaneSpan left, LaneSpan right, int lanes);

/// The fewest nodes of the tree that together are `span`, in order.
std::vector<LaneSpan> cover(LaneSpan span, int lanes);

/// into = into (+) right, `size` numbers, where `into` stands left of `right` in the tree.
void combine(ReduceKind kind, double* into, const double* right, std::int64_t size);
void combine_add(float* into, const float* right, std::int64_t size);

/// Folds adjacent nodes, each `size` doubles at nodes[i] -> values + i*size, in the tree order. `values` is used as
/// scratch; the nodes must cover the lanes [0, lanes) of the tree; the total ends at values[0..size).
void fold(ReduceKind kind, std::span<const LaneSpan> nodes, int lanes, double* values, std::int64_t size);

/// The bookkeeping of a fold with few buffers: lanes arrive in order, each takes the slot `push` names, then
/// `merges` pairs of slots are combined (slot s += slot s+1, from the top down). What stays is `cover(span)`, in
/// slots 0, 1, ...
class FoldStack {
 public:
  explicit FoldStack(int lanes) : lanes_(lanes) {}
  /// The slot for the next node, and how many merges follow once it is written.
  struct Step {
    int slot;
    int merges;
  };
  Step push(LaneSpan node);
  const std::vector<LaneSpan>& nodes() const { return nodes_; }
  void clear() { nodes_.clear(); }
  /// The slots that pushing the lanes of `span` one by one needs.
  static int slots(LaneSpan span, int lanes);

 private:
  int lanes_;
  std::vector<LaneSpan> nodes_;
};

}  // namespace lockstep
