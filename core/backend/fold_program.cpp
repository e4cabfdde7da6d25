#include "core/backend/fold_program.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/model/lane_tree.h"

namespace lockstep {

FoldProgram FoldProgram::of(const OpSpec& op) {
  const std::vector<std::int64_t>& nodes = op.attributes.integers("nodes");
  const auto items = static_cast<std::int64_t>(nodes.size() / 2);
  require(items > 0 && nodes.size() % 2 == 0, "{}: expected the first and the last lane of each item, got {} numbers", op.op, nodes.size());
  require(items <= kMostItems, "{}: expected at most {} items, got {}", op.op, kMostItems, items);
  const bool sequential = op.attributes.has("sequential") && op.attributes.integer("sequential") != 0;
  FoldStack stack(static_cast<int>(op.attributes.integer("lanes")));
  FoldProgram program;
  program.items = static_cast<int>(items);
  int partial = 0, most = 0;
  for (std::size_t i = 0; i < nodes.size() / 2; ++i) {
    int merges = i > 0 ? 1 : 0;
    if (!sequential) merges = stack.push({static_cast<int>(nodes[2 * i]), static_cast<int>(nodes[2 * i + 1])}).merges;
    most = std::max(most, partial + 1);
    partial += 1 - merges;
    program.nibbles[i / 8] |= static_cast<std::uint32_t>(merges) << (i % 8 * 4);
  }
  require(partial == 1, "{}: the items are not a node of the lane tree: {} partial results are left", op.op, partial);
  require(most <= kMostPartial, "{}: expected a tree of at most {} levels, got {}", op.op, kMostPartial - 1, most - 1);
  return program;
}

}  // namespace lockstep
