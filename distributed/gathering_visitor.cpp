#include "distributed/gathering_visitor.h"

#include <cstring>

#include "core/base/error.h"

namespace lockstep {

void GatheringVisitor::positional(std::string_view name, TensorView value, std::int64_t first_row, std::int64_t total_rows) {
  struct Rows {
    std::int64_t first = 0, count = 0;
  };
  const Rows mine{first_row, value.spec.shape[0]};
  std::vector<Rows> rows(static_cast<std::size_t>(communicator_.size()));
  communicator_.all_gather(&mine, rows.data(), std::vector<std::size_t>(rows.size(), sizeof mine));

  const TensorSpec row{Shape(value.spec.shape.extents().subspan(1)), value.spec.dtype};
  std::vector<std::size_t> bytes;
  std::int64_t next = 0;
  for (const Rows& theirs : rows) {
    require(theirs.first == next, "state \"{}\": expected rows from {}, got them from {}", name, next, theirs.first);
    next += theirs.count;
    bytes.push_back(static_cast<std::size_t>(theirs.count) * row.bytes());
  }
  require(next == total_rows, "state \"{}\": expected {} rows over all ranks, got {}", name, total_rows, next);

  Tensor whole({row.shape.with_leading(total_rows), row.dtype});
  communicator_.all_gather(value.data, whole.view().data, bytes);
  inner_.tensor(name, whole.view());
  if (value.spec.bytes() > 0)
    std::memcpy(value.data, whole.as<std::byte>() + static_cast<std::size_t>(first_row) * row.bytes(), value.spec.bytes());
}

}  // namespace lockstep
