#include "tests/support/synthetic_source.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep::test {

SyntheticSource::SyntheticSource(std::vector<BatchField> fields, std::int64_t samples, std::int64_t lane_rows, LaneSpan lanes,
                                 std::int64_t classes)
    : fields_(std::move(fields)), samples_(samples), lane_rows_(lane_rows), lanes_(lanes), classes_(classes) {
  for (const BatchField& field : fields_)
    memory_.emplace_back(TensorSpec{field.spec.shape.with_leading(lanes.count() * lane_rows), field.spec.dtype});
}

const BatchSlot& SyntheticSource::batch(const BatchPosition& position, const std::optional<BatchPosition>&) {
  const std::int64_t first = std::min(lanes_.first * lane_rows_, position.samples),
                     last = std::min(lanes_.last * lane_rows_, position.samples);
  slot_ = {.position = position, .first_row = first, .rows = last - first};
  for (std::size_t f = 0; f < fields_.size(); ++f) {
    for (std::int64_t row = 0; row < slot_.rows; ++row) fill(f, row, position.first + first + row);
    slot_.inputs.push_back(memory_[f].view());
  }
  return slot_;
}

void SyntheticSource::fill(std::size_t f, std::int64_t row, std::int64_t sample) {
  const TensorSpec& spec = fields_[f].spec;
  for (std::int64_t i = 0; i < spec.elements(); ++i) {
    const std::int64_t at = row * spec.elements() + i;
    const std::uint32_t word = Philox::draw(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(sample), 17 + f).w[0];
    const double given = element_ ? element_(fields_[f], sample, i) : 0.0;
    const float value = element_ ? static_cast<float>(given) : 2.0f * Philox::uniform(word) - 1.0f;
    if (spec.dtype == Dtype::f32)
      memory_[f].as<float>()[at] = value;
    else if (spec.dtype == Dtype::bf16)
      memory_[f].as<BFloat16>()[at] = to_bfloat16(value);
    else if (spec.dtype == Dtype::f16)
      memory_[f].as<Float16>()[at] = to_float16(value);
    else if (spec.dtype == Dtype::i64)
      memory_[f].as<std::int64_t>()[at] =
          element_ ? static_cast<std::int64_t>(given) : static_cast<std::int64_t>(word % static_cast<std::uint32_t>(classes_));
    else
      fail(ErrorKind::internal, "no synthetic {}", name_of(spec.dtype));
  }
}

}  // namespace lockstep::test
