#include <chrono>
#include <cstring>

#include "core/train/lane_program.h"

namespace lockstep {

float* LaneProgram::gradient_slot(const BoundInstruction& bound, std::size_t write, int worker, int tile) {
  GradientPath& path = paths[static_cast<std::size_t>(bound.instruction->writes[write].index)];
  // A shared weight's uses come from different kernels: each writes a slot of its own layout, and the lane's sum is plain.
  if (path.shared) return reinterpret_cast<float*>(shared_slot[static_cast<std::size_t>(worker)].data());
  return path.fold->slot(worker, tile);
}

void LaneProgram::gradient_written(const BoundInstruction& bound, std::size_t write, int worker, int tile) {
  const auto parameter = static_cast<std::size_t>(bound.instruction->writes[write].index);
  GradientPath& path = paths[parameter];
  if (!path.shared) {
    path.fold->written(worker, tile);
    return;
  }
  const auto elements = plan->parameters[parameter].spec.shape.elements();
  float* from = reinterpret_cast<float*>(shared_slot[static_cast<std::size_t>(worker)].data());
  if (bound.kernel->slot_elements(static_cast<int>(write)) > 0) {
    float* plain = reinterpret_cast<float*>(shared_plain[static_cast<std::size_t>(worker)].data());
    bound.kernel->unpack(static_cast<int>(write), from, plain, {});
    from = plain;
  }
  float* lane = path.fold->slot(worker, tile);
  if (bound.first_use[write])
    std::memcpy(lane, from, static_cast<std::size_t>(elements) * sizeof(float));
  else
    add_floats(lane, from, elements);
}

/// A lane without samples contributes zeros, on whichever rank it lies.
void LaneProgram::clear_lane(const BoundInstruction& bound, int worker, int tile) {
  for (std::size_t w = 0; w < bound.instruction->writes.size(); ++w) {
    const PlanOperand& write = bound.instruction->writes[w];
    if (write.role == PlanRole::statistic)
      std::memset(address(write, worker, tile, true), 0, static_cast<std::size_t>(plan->statistics[static_cast<std::size_t>(write.index)].size) * sizeof(double));
    if (write.role != PlanRole::gradient) continue;
    const GradientPath& path = paths[static_cast<std::size_t>(write.index)];
    const std::size_t bytes = path.shared ? shared_slot[static_cast<std::size_t>(worker)].bytes() : static_cast<std::size_t>(path.fold->elements()) * sizeof(float);
    std::memset(gradient_slot(bound, w, worker, tile), 0, bytes);
  }
}

void LaneProgram::finish_gradients(int segment) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<int> ready;
  for (std::size_t p = 0; p < paths.size(); ++p)
    if (paths[p].ready_segment == segment) ready.push_back(static_cast<int>(p));
  backend.parallel(static_cast<int>(ready.size()), [&](int task, int) {
    const auto p = static_cast<std::size_t>(ready[static_cast<std::size_t>(task)]);
    GradientPath& path = paths[p];
    path.fold->finish();
    require(path.fold->nodes().size() == node_spans.size(), "gradient of \"{}\": {} nodes, expected {}", plan->parameters[p].name,
            path.fold->nodes().size(), node_spans.size());
    for (std::size_t n = 0; n < node_spans.size(); ++n) {
      float* target = (n == 0 ? gradients : reinterpret_cast<float*>(node_arenas[n - 1].data())) + plan->parameters[p].offset;
      if (path.unpacker)
        path.unpacker->unpack(path.unpack_write, path.fold->sum(n), target, {});
      else
        std::memcpy(target, path.fold->sum(n), static_cast<std::size_t>(plan->parameters[p].spec.shape.elements()) * sizeof(float));
    }
  });
  for (std::size_t b = 0; b < plan->buckets.size(); ++b) {
    if (program.bucket_ready[b] != segment) continue;
    const Bucket& bucket = plan->buckets[b];
    std::vector<NodeGradient> nodes;
    for (std::size_t n = 0; n < node_spans.size(); ++n)
      nodes.push_back({node_spans[n], (n == 0 ? gradients : reinterpret_cast<float*>(node_arenas[n - 1].data())) + bucket.offset});
    synchronizer->reduce(static_cast<int>(b), bucket.elements, nodes, gradients + bucket.offset, {});
  }
  if (profiling) profiling->count(fold_entry, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace lockstep
