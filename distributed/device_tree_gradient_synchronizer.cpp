#include "distributed/device_tree_gradient_synchronizer.h"

#include <algorithm>

#include "core/base/error.h"

namespace lockstep {
namespace {

constexpr std::int64_t kSliceUnit = 64;  // floats: slices begin at the alignment of device memory

std::size_t bytes_of(std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); }

}  // namespace

DeviceTreeGradientSynchronizer::DeviceTreeGradientSynchronizer(Backend& backend, DeviceCommunicator& ranks, int total_lanes)
    : device_(backend.device()), ranks_(ranks), fold_(backend), total_lanes_(total_lanes) {
  for (int r = 0; r < ranks.size(); ++r) nodes_of_rank_.push_back(cover(lanes_of_rank(total_lanes, r, ranks.size()), total_lanes));
}

/// Equal slices; what is left over is the last rank's, so that a library may gather them as equal ones and a rest.
DeviceTreeGradientSynchronizer::Bucket& DeviceTreeGradientSynchronizer::bucket(int number, std::int64_t elements) {
  const auto found = buckets_.find({number, elements});
  if (found != buckets_.end()) return found->second;
  const int rank = ranks_.rank(), ranks = ranks_.size();
  const auto my_nodes = static_cast<std::int64_t>(nodes_of_rank_[static_cast<std::size_t>(rank)].size());
  const std::int64_t share = elements / ranks / kSliceUnit * kSliceUnit, rest = elements - share * (ranks - 1);
  Bucket made{.first = rank * share, .count = rank + 1 < ranks ? share : rest};
  FoldShape shape{.op = "fold.add_f32", .lanes = total_lanes_, .stride = made.count, .elements = made.count};
  for (int r = 0; r < ranks; ++r) {
    const std::vector<LaneSpan>& nodes = nodes_of_rank_[static_cast<std::size_t>(r)];
    made.slice_bytes.push_back(bytes_of(r + 1 < ranks ? share : rest));
    made.send_bytes.push_back(static_cast<std::size_t>(my_nodes) * made.slice_bytes.back());
    made.receive_bytes.push_back(nodes.size() * bytes_of(made.count));
    shape.nodes.insert(shape.nodes.end(), nodes.begin(), nodes.end());
  }
  if (made.count > 0) {
    made.received = DeviceBuffer(device_, shape.nodes.size() * bytes_of(made.count), "gradients of all ranks");
    made.fold = &fold_.kernel(shape);
  }
  if (my_nodes > 1) made.packed = DeviceBuffer(device_, static_cast<std::size_t>(my_nodes) * bytes_of(elements), "gradients to send");
  return buckets_.emplace(std::pair(number, elements), std::move(made)).first->second;
}

/// This rank's nodes cut into slices, by receiving rank.
const float* DeviceTreeGradientSynchronizer::pack(const Bucket& bucket, std::span<const NodeGradient> nodes, StreamView stream) {
  if (nodes.size() <= 1) return nodes.empty() ? nullptr : nodes[0].data;
  std::size_t to = 0, from = 0;
  for (const std::size_t bytes : bucket.slice_bytes) {
    for (const NodeGradient& node : nodes) {
      if (bytes > 0) device_.copy(bucket.packed.data() + to, reinterpret_cast<const std::byte*>(node.data) + from, bytes, stream);
      to += bytes;
    }
    from += bytes;
  }
  return bucket.packed.as<float>();
}

void DeviceTreeGradientSynchronizer::reduce(int bucket, std::int64_t elements, std::span<const NodeGradient> nodes, float* result,
                                            StreamView stream) {
  const int rank = ranks_.rank();
  const std::vector<LaneSpan>& expected = nodes_of_rank_[static_cast<std::size_t>(rank)];
  require(std::equal(nodes.begin(), nodes.end(), expected.begin(), expected.end(),
                     [](const NodeGradient& a, LaneSpan b) { return a.node == b; }),
          "gradients: bucket {}: the nodes of rank {} are not those of the lane tree", bucket, rank);
  if (ranks_.size() == 1) {
    if (nodes[0].data != result) device_.copy(result, nodes[0].data, bytes_of(elements), stream);
    return;
  }
  Bucket& plan = this->bucket(bucket, elements);
  StreamView work = stream;
  if (ranks_.overlaps()) {
    work = device_.stream(Queue::kCommunication);
    device_.order(stream, work);
    under_way_ = true;
  }
  ranks_.all_to_all(pack(plan, nodes, work), plan.send_bytes, plan.received.data(), plan.receive_bytes, work);
  if (plan.fold) DeviceFold::run(*plan.fold, plan.received.data(), result + plan.first, plan.count, work);
  ranks_.all_gather(result + plan.first, result, plan.slice_bytes, work);
}

void DeviceTreeGradientSynchronizer::finish(StreamView stream) {
  if (under_way_) device_.order(device_.stream(Queue::kCommunication), stream);
  under_way_ = false;
}

}  // namespace lockstep
