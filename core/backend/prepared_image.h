#pragma once

#include <cstdint>

#include "core/backend/kernel.h"
#include "core/backend/pixel_move.h"
#include "core/base/error.h"

namespace lockstep {

/// What "input.prepare" reads of its OpSpec, on every device. Rows that are no images are one line of pixels.
struct PreparedImage {
  explicit PreparedImage(const OpSpec& op) : numbers(op.reads[2].spec.elements()) {
    const Shape& shape = op.reads[0].spec.shape;
    const bool image = shape.rank() == 3;
    elements = shape.elements();
    channels = shape.rank() ? shape[shape.rank() - 1] : 1;
    height = image ? shape[0] : 1;
    width = image ? shape[1] : elements / (channels > 0 ? channels : 1);
    require(op.reads[0].spec.dtype == Dtype::u8 && op.writes[0].spec.shape == shape, "{}: expected {} u8, got {}", op.op,
            op.writes[0].spec.shape.text(), op.reads[0].spec.text());
    require(numbers == op.reads[3].spec.elements() && (numbers == 1 || numbers == channels), "{}: {} scales for {} channels", op.op,
            numbers, channels);
  }

  std::int64_t height = 0, width = 0, channels = 0, elements = 0;
  std::int64_t numbers = 0;  ///< scales: one, or one a channel
};

}  // namespace lockstep
