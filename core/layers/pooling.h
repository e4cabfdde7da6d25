#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/model/layer.h"

namespace lockstep {

/// The options that all pooling layers share: `max_pool = size`, `stride` (default: size), `padding = "valid" | "same"`.
/// Size and stride are one integer or [h, w]. "same" pads (k - 1) / 2 below and k / 2 above, as conv2d does; the output is
/// then ceil(h / stride). Padding never counts: not as a maximum, not in a mean.
struct PoolingWindow {
  PoolingWindow(Options& options, std::string_view name)
      : size(options.integers(name, 2, {}, {.least = 1})),
        stride(size),
        same(options.choice("padding", {"same", "valid"}, "valid") == "same") {
    if (options.has("stride"))
      stride = options.integers("stride", 2, {}, {.least = 1});
    else
      options.take("stride");
  }

  /// Checks the input [h, w, c] and gives the output.
  TensorSpec output(std::span<const TensorSpec> inputs) const {
    if (inputs.size() != 1) fail(ErrorKind::run_file, "expected one input [h, w, c], got {} inputs", inputs.size());
    const TensorSpec& x = inputs[0];
    if (x.shape.rank() != 3) fail(ErrorKind::run_file, "expected [h, w, c], got {}", x.shape.text());
    if (!is_activation(x.dtype)) fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", name_of(x.dtype));
    if (!same && (x.shape[0] < size[0] || x.shape[1] < size[1]))
      fail(ErrorKind::run_file, "expected an image of at least [{}, {}] for padding \"valid\", got {}", size[0], size[1], x.shape.text());
    return {Shape{extent(x.shape[0], 0), extent(x.shape[1], 1), x.shape[2]}, x.dtype};
  }

  /// "size", "stride" and "padding": {h, w} each, the padding of the low side.
  Attributes attributes() const {
    std::vector<std::int64_t> padding(2, 0);
    if (same) padding = {(size[0] - 1) / 2, (size[1] - 1) / 2};
    return {{"size", size}, {"stride", stride}, {"padding", padding}};
  }

  std::vector<std::int64_t> size, stride;
  bool same;

 private:
  std::int64_t extent(std::int64_t input, std::size_t axis) const { return ((same ? input - 1 : input - size[axis]) / stride[axis]) + 1; }
};

}  // namespace lockstep
