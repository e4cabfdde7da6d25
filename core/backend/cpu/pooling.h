#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/backend/cpu/element_type.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"

namespace lockstep::cpu {

struct Range {
  std::int64_t first, last;
};

/// One axis of a pooling window.
struct PoolingAxis {
  std::int64_t input = 1, output = 1, size = 1, stride = 1, pad = 0;

  /// Window positions of output `o` that lie inside the image.
  Range taps(std::int64_t o) const {
    const std::int64_t start = o * stride - pad;
    return {start < 0 ? -start : 0, start + size > input ? input - start : size};
  }
  /// Outputs whose window holds input `i`.
  Range outputs(std::int64_t i) const {
    const std::int64_t end = i + pad + 1;
    const std::int64_t first = end > size ? (end - size + stride - 1) / stride : 0, last = (i + pad) / stride + 1;
    return {first, last < output ? last : output};
  }
};

/// Two axes and the channels of NHWC samples.
struct PoolingGeometry {
  PoolingGeometry(const TensorSpec& x, const TensorSpec& y, const Attributes& attributes)
      : height(axis(0, x, y, attributes)), width(axis(1, x, y, attributes)), channels(x.shape[2]) {}
  std::int64_t inputs() const { return height.input * width.input * channels; }
  std::int64_t outputs() const { return height.output * width.output * channels; }

  PoolingAxis height, width;
  std::int64_t channels;

 private:
  static PoolingAxis axis(int index, const TensorSpec& x, const TensorSpec& y, const Attributes& attributes) {
    const auto at = static_cast<std::size_t>(index);
    return {x.shape[index], y.shape[index], attributes.integers("size")[at], attributes.integers("stride")[at],
            attributes.integers("padding")[at]};
  }
};

/// A pooling kernel from one function; the workspace is one f32 a channel. `backward` kernels have the image in `writes`.
class PoolingKernel : public Kernel {
 public:
  using Run = void (*)(const PoolingGeometry&, const OpSpec&, const KernelCall&);
  PoolingKernel(const OpSpec& op, Run body, bool backward)
      : op_(op),
        geometry_(backward ? op.writes[0].spec : op.reads[0].spec, backward ? op.reads[0].spec : op.writes[0].spec, op.attributes),
        run_(body) {}

  void run(const KernelCall& call) const override { run_(geometry_, op_, call); }
  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(geometry_.channels) * sizeof(float); }
  std::string implementation() const override { return std::string("own ") + simd_level_name(); }

 private:
  OpSpec op_;
  PoolingGeometry geometry_;
  Run run_;
};

inline MakeKernel pooling_forward(PoolingKernel::Run run) {
  return [=](const OpSpec& op) { return std::make_unique<PoolingKernel>(op, run, false); };
}
inline MakeKernel pooling_backward(PoolingKernel::Run run) {
  return [=](const OpSpec& op) { return std::make_unique<PoolingKernel>(op, run, true); };
}

}  // namespace lockstep::cpu
