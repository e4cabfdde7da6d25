#include "distributed/broadcast_visitor.h"

namespace lockstep {

void BroadcastVisitor::tensor(std::string_view, TensorView value) { communicator_.broadcast(value.data, value.spec.bytes(), root_); }

void BroadcastVisitor::integer(std::string_view, std::int64_t& value) { communicator_.broadcast(&value, sizeof value, root_); }

void BroadcastVisitor::real(std::string_view, double& value) { communicator_.broadcast(&value, sizeof value, root_); }

void BroadcastVisitor::reals(std::string_view, std::vector<double>& values) {
  std::uint64_t count = values.size();
  communicator_.broadcast(&count, sizeof count, root_);
  values.resize(count);
  communicator_.broadcast(values.data(), count * sizeof(double), root_);
}

void BroadcastVisitor::text(std::string_view, std::string& value) { value = broadcast_text(communicator_, value, root_); }

}  // namespace lockstep
