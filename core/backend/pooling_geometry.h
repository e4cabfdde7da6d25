#pragma once

#include <cstdint>
#include <limits>

#include "core/backend/kernel.h"
#include "core/base/error.h"
#include "core/base/formula.h"

namespace lockstep {

/// Positions [first, last).
struct PoolingRange {
  std::int32_t first, last;
  LOCKSTEP_FORMULA std::int64_t count() const { return last - first; }
};

/// One axis of a pooling window. In 32 bits, which divide fast on every device.
struct PoolingAxis {
  std::int32_t input = 1, output = 1, size = 1, stride = 1, pad = 0;

  /// The input position under the window's first position at output `o`; negative in the padding.
  LOCKSTEP_FORMULA std::int32_t start(std::int32_t o) const { return o * stride - pad; }
  /// Window positions of output `o` that lie inside the image.
  LOCKSTEP_FORMULA PoolingRange taps(std::int32_t o) const {
    const std::int32_t begin = start(o);
    return {begin < 0 ? -begin : 0, begin + size > input ? input - begin : size};
  }
  /// Outputs whose window holds input `i`.
  LOCKSTEP_FORMULA PoolingRange outputs(std::int32_t i) const {
    const std::int32_t end = i + pad + 1;
    const std::int32_t first = end > size ? (end - size + stride - 1) / stride : 0, last = (i + pad) / stride + 1;
    return {first, last < output ? last : output};
  }
};

/// Two axes and the channels of NHWC samples, from the operands and the attributes "size", "stride" and "padding" of a
/// pooling op. Passed to kernels by value.
struct PoolingGeometry {
  PoolingGeometry(const TensorSpec& x, const TensorSpec& y, const Attributes& attributes)
      : height(axis(0, x, y, attributes)), width(axis(1, x, y, attributes)), channels(x.shape[2]) {}
  std::int64_t inputs() const { return std::int64_t{height.input} * width.input * channels; }
  std::int64_t outputs() const { return std::int64_t{height.output} * width.output * channels; }

  PoolingAxis height, width;
  std::int64_t channels;

 private:
  static constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() / 4;  // sums of two never overflow
  static PoolingAxis axis(int index, const TensorSpec& x, const TensorSpec& y, const Attributes& attributes) {
    const auto at = static_cast<std::size_t>(index);
    const auto narrow = [](std::int64_t value) {
      if (value > kMost) fail(ErrorKind::run_file, "pooling: expected sizes of at most {}, got {}", kMost, value);
      return static_cast<std::int32_t>(value);
    };
    return {narrow(x.shape[index]), narrow(y.shape[index]), narrow(attributes.integers("size")[at]),
            narrow(attributes.integers("stride")[at]), narrow(attributes.integers("padding")[at])};
  }
};

}  // namespace lockstep
