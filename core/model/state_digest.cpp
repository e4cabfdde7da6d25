#include "core/model/state_digest.h"

#include "core/base/error.h"

namespace lockstep {

void DigestVisitor::positional(std::string_view name, TensorView value, std::int64_t first_row, std::int64_t total_rows) {
  require(first_row == 0 && value.spec.shape.rank() > 0 && value.spec.shape[0] == total_rows,
          "state digest: \"{}\" has not been gathered: expected {} rows, got {} from row {}", full_name(name), total_rows,
          value.spec.shape.text(), first_row);
  tensor(name, value);
}

void DigestVisitor::member(const std::string& name, MemberKind kind, TensorView value) {
  std::string hex = member_digest(name, kind, value);
  digest_.add(hex);
  members_.emplace_back(name, std::move(hex));
}

std::string state_digest(const VisitState& visit) {
  DigestVisitor visitor;
  visit(visitor);
  return visitor.hex();
}

}  // namespace lockstep
