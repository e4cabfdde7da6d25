#include "core/tensor/shape.h"

#include <algorithm>

#include "core/base/error.h"

namespace lockstep {

Shape::Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  require(extents.size() <= kMaxRank, "a shape has at most {} axes, got {}", kMaxRank, extents.size());
  std::copy(extents.begin(), extents.end(), extents_.begin());
  rank_ = static_cast<int>(extents.size());
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : extents()) product *= extent;
  return product;
}

Shape Shape::with_leading(std::int64_t extent) const {
  require(rank_ < kMaxRank, "a shape has at most {} axes", kMaxRank);
  Shape result;
  result.rank_ = rank_ + 1;
  result.extents_[0] = extent;
  std::copy_n(extents_.begin(), rank_, result.extents_.begin() + 1);
  return result;
}

std::string Shape::text() const {
  std::string result = "[";
  for (int axis = 0; axis < rank_; ++axis) result += (axis ? ", " : "") + std::to_string(extents_[static_cast<std::size_t>(axis)]);
  return result + "]";
}

bool Shape::operator==(const Shape& other) const { return std::ranges::equal(extents(), other.extents()); }

}  // namespace lockstep
