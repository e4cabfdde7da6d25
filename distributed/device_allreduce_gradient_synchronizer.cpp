#include "distributed/device_allreduce_gradient_synchronizer.h"

namespace lockstep {

DeviceAllReduceGradientSynchronizer::DeviceAllReduceGradientSynchronizer(Backend& backend, DeviceCommunicator& ranks)
    : device_(backend.device()), ranks_(ranks) {
  const TensorSpec element{Shape{}, Dtype::f32};
  add_ = backend.make({.op = "gradient.add",
                       .layer = "gradients",
                       .kind = PhaseKind::rows,
                       .reads = {{Role::input, element}},
                       .writes = {{Role::output, element, WriteMode::accumulate}}});
}

void DeviceAllReduceGradientSynchronizer::reduce(int, std::int64_t elements, std::span<const NodeGradient> nodes, float* result,
                                                 StreamView stream) {
  StreamView work = stream;
  if (ranks_.overlaps() && ranks_.size() > 1) {
    work = device_.stream(Queue::kCommunication);
    device_.order(stream, work);
    under_way_ = true;
  }
  const std::size_t bytes = static_cast<std::size_t>(elements) * sizeof(float);
  if (nodes.empty()) device_.zero(result, bytes, work);
  if (!nodes.empty() && nodes[0].data != result) device_.copy(result, nodes[0].data, bytes, work);
  for (std::size_t n = 1; n < nodes.size(); ++n) {
    const void* from = nodes[n].data;
    void* to = result;
    add_->run({.reads = {&from, 1}, .writes = {&to, 1}, .rows = elements, .stream = work});
  }
  ranks_.all_reduce_sum(result, elements, work);
}

void DeviceAllReduceGradientSynchronizer::finish(StreamView stream) {
  if (under_way_) device_.order(device_.stream(Queue::kCommunication), stream);
  under_way_ = false;
}

}  // namespace lockstep
