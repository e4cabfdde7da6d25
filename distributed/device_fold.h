#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "core/backend/backend.h"
#include "core/model/lane_tree.h"

namespace lockstep {

/// How items, `stride` elements apart, become one. Item i is the sum over the lanes of nodes[i].
struct FoldShape {
  std::string op;  ///< "fold.add_f32", "fold.add" or "fold.moments", see core/backend/engine_ops.h
  std::vector<LaneSpan> nodes;
  int lanes = 0;  ///< of the tree
  std::int64_t stride = 0;
  std::int64_t elements = 0;  ///< of an item
  bool sequential = false;    ///< from left to right instead of along the tree
};

/// The fold kernels of a backend, each made once. The backend must outlive it.
class DeviceFold {
 public:
  explicit DeviceFold(Backend& backend) : backend_(backend) {}

  /// Lives as long as this.
  const Kernel& kernel(const FoldShape& shape);
  /// Queues it. `result` may be the first item.
  static void run(const Kernel& kernel, const void* items, void* result, std::int64_t elements, StreamView stream);

 private:
  using Key = std::tuple<std::string, std::vector<std::int64_t>, int, std::int64_t, std::int64_t, bool>;
  Backend& backend_;
  std::map<Key, std::unique_ptr<Kernel>> made_;
};

/// The op that combines statistics of this kind.
inline const char* fold_op(ReduceKind kind) { return kind == ReduceKind::moments ? "fold.moments" : "fold.add"; }

}  // namespace lockstep
