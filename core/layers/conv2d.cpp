// y[oh, ow, o] = b[o] + sum over kh, kw, i of x[oh*sh + kh - top, ow*sw + kw - left, i] * w[o, i, kh, kw]
// x [h, w, in], w [filters, in / groups, kh, kw] in PyTorch's order, y [oh, ow, filters].
// padding "same" pads (k - 1) / 2 below and k / 2 above, whatever the stride: for odd k that is PyTorch's padding = k // 2;
// the output is ceil(h / stride). "valid" pads nothing.
#include <algorithm>

#include "core/base/registry.h"
#include "core/model/layer.h"

namespace lockstep {

namespace {

class Conv2d : public Layer {
 public:
  explicit Conv2d(Options& options)
      : filters_(options.integer("conv2d", {}, {.least = 1})),
        size_(options.integers("size", 2, {}, {.least = 1})),
        stride_(options.integers("stride", 2, 1, {.least = 1})),
        same_(options.choice("padding", {"same", "valid"}, "same") == "same"),
        groups_(options.integer("groups", 1, {.least = 1})),
        bias_(options.boolean("bias", true)),
        init_(Value::text("he_normal")) {
    if (const Value* init = options.take("init")) init_ = *init;
    if (filters_ % groups_ != 0)
      fail(ErrorKind::run_file, "{}expected filters divisible by groups, got {} filters in {} groups", options.where("groups"), filters_,
           groups_);
  }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    const TensorSpec& x = check(inputs);
    const std::int64_t in = x.shape[2];
    std::vector<std::int64_t> padding(4, 0);
    for (std::size_t axis = 0; axis < 2 && same_; ++axis) {
      padding[axis] = (size_[axis] - 1) / 2;
      padding[axis + 2] = size_[axis] / 2;
    }
    const auto extent = [&](std::size_t axis) {
      return (x.shape[static_cast<int>(axis)] + padding[axis] + padding[axis + 2] - size_[axis]) / stride_[axis] + 1;
    };
    const Attributes attributes{{"stride", stride_}, {"padding", padding}, {"groups", groups_}};
    LayerSpec spec;
    spec.outputs = {{Shape{extent(0), extent(1), filters_}, x.dtype}};
    const std::int64_t taps = size_[0] * size_[1];
    spec.parameters = {{.name = "weight",
                        .shape = {filters_, in / groups_, size_[0], size_[1]},
                        .initializer = init_,
                        .fan_in = in / groups_ * taps,
                        .fan_out = filters_ / groups_ * taps}};
    std::vector<Operand> reads = {{Role::input}, {Role::parameter}};
    std::vector<Operand> gradients = {{Role::parameter_gradient}};
    if (bias_) {
      spec.parameters.push_back({.name = "bias", .shape = {filters_}, .kind = ParameterKind::bias});
      reads.push_back({Role::parameter, 1});
      gradients.push_back({Role::parameter_gradient, 1});
    }
    // One pixel from one pixel: then the gradient is a matrix product, which every library can add to what is there.
    const auto only = [](const std::vector<std::int64_t>& values, std::int64_t value) { return std::ranges::count(values, value) == std::ssize(values); };
    const bool by_pixel = taps == 1 && groups_ == 1 && only(stride_, 1) && only(padding, 0);
    const std::int64_t operations = 2 * spec.outputs[0].elements() * (in / groups_) * taps;
    spec.forward = spec.evaluate = {counted(operations, rows_phase("conv2d.forward", reads, {{Role::output}}, attributes))};
    spec.backward = {
        counted(operations, lane_phase("conv2d.backward_weights", {{Role::input}, {Role::output_gradient}}, gradients, attributes)),
        counted(operations, rows_phase("conv2d.backward_data", {{Role::output_gradient}, {Role::parameter}}, {{Role::input_gradient, 0, by_pixel}}, attributes))};
    return spec;
  }

 private:
  const TensorSpec& check(std::span<const TensorSpec> inputs) const {
    if (inputs.size() != 1) fail(ErrorKind::run_file, "expected one input [h, w, c], got {} inputs", inputs.size());
    const TensorSpec& x = inputs[0];
    if (x.shape.rank() != 3) fail(ErrorKind::run_file, "expected [h, w, c], got {}", x.shape.text());
    if (!is_activation(x.dtype)) fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", name_of(x.dtype));
    if (x.shape[2] % groups_ != 0)
      fail(ErrorKind::run_file, "expected channels divisible by groups, got {} channels in {} groups", x.shape[2], groups_);
    if (!same_ && (x.shape[0] < size_[0] || x.shape[1] < size_[1]))
      fail(ErrorKind::run_file, "expected an image of at least [{}, {}] for padding \"valid\", got {}", size_[0], size_[1], x.shape.text());
    return x;
  }

  std::int64_t filters_;
  std::vector<std::int64_t> size_, stride_;
  bool same_;
  std::int64_t groups_;
  bool bias_;
  Value init_;
};

const Register<Layer> registered{{.name = "conv2d",
                                  .summary = "two-dimensional convolution: filters, size, stride, padding, groups, bias, init",
                                  .make = [](Options& options) { return std::make_unique<Conv2d>(options); }}};

}  // namespace

}  // namespace lockstep
