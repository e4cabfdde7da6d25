#include "distributed/device_fold.h"

#include "core/base/error.h"

namespace lockstep {

const Kernel& DeviceFold::kernel(const FoldShape& shape) {
  std::vector<std::int64_t> nodes;
  for (const LaneSpan& node : shape.nodes) nodes.insert(nodes.end(), {node.first, node.last});
  Key key(shape.op, nodes, shape.lanes, shape.stride, shape.elements, shape.sequential);
  const auto found = made_.find(key);
  if (found != made_.end()) return *found->second;
  const Dtype dtype = shape.op == "fold.add_f32" ? Dtype::f32 : Dtype::f64;
  const auto items = static_cast<std::int64_t>(shape.nodes.size());
  const Role role = dtype == Dtype::f32 ? Role::parameter_gradient : Role::statistic;
  auto kernel = backend_.make({.op = shape.op,
                               .layer = "reduction",
                               .kind = PhaseKind::once,
                               .reads = {{role, {Shape{items, shape.stride}, dtype}}},
                               .writes = {{role, {Shape{shape.elements}, dtype}}},
                               .attributes = {{"nodes", nodes},
                                              {"lanes", std::int64_t{shape.lanes}},
                                              {"stride", shape.stride},
                                              {"sequential", std::int64_t{shape.sequential}}},
                               .max_rows = shape.elements});
  require(kernel->workspace_bytes() == 0, "{}: expected a kernel without workspace", shape.op);
  return *made_.emplace(std::move(key), std::move(kernel)).first->second;
}

void DeviceFold::run(const Kernel& kernel, const void* items, void* result, std::int64_t elements, StreamView stream) {
  if (elements == 0) return;
  kernel.run({.reads = {&items, 1}, .writes = {&result, 1}, .rows = elements, .stream = stream});
}

}  // namespace lockstep
