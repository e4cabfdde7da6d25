// y[n, oh, ow, o] = b[o] + sum over kh, kw, i of x[n, oh*sh + kh - top, ow*sw + kw - left, i] * w[o, i, kh, kw], NHWC;
// attributes: stride [h, w], padding [top, left, bottom, right], groups, tf32.
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/vendor/convolution.h"
#include "core/backend/cuda/vendor/dense.h"

namespace lockstep::cuda {

namespace {

/// From the specs of input and output (or their gradients) and of the weight (or its gradient).
ConvolutionGeometry geometry_of(const OpSpec& spec, const Shape& input, const Shape& output, const Shape& weight, bool bias) {
  const auto& stride = spec.attributes.integers("stride");
  const auto& padding = spec.attributes.integers("padding");
  return {.groups = spec.attributes.integer("groups"),
          .in = input[2],
          .out = output[2],
          .input = {input[0], input[1]},
          .output = {output[0], output[1]},
          .kernel = {weight[2], weight[3]},
          .stride = {stride[0], stride[1]},
          .pad_low = {padding[0], padding[1]},
          .pad_high = {padding[2], padding[3]},
          .bias = bias};
}

std::unique_ptr<Kernel> make_forward(const OpSpec& spec) {
  const auto geometry =
      geometry_of(spec, spec.reads[0].spec.shape, spec.writes[0].spec.shape, spec.reads[1].spec.shape, spec.reads.size() > 2);
  return std::make_unique<Convolution>(spec, geometry, ConvolutionPass::forward);
}

std::unique_ptr<Kernel> make_backward_data(const OpSpec& spec) {
  const auto geometry = geometry_of(spec, spec.writes[0].spec.shape, spec.reads[0].spec.shape, spec.reads[1].spec.shape, false);
  // cuDNN's interface does not add to what is there. A convolution that may be asked to is a product of pixels (core/layers/conv2d.cpp).
  if (spec.writes[0].mode == WriteMode::accumulate)
    return make_dense(spec, {.out = geometry.out, .in = geometry.in, .positions = geometry.input[0] * geometry.input[1], .layout = "[out, kh, kw, in]"},
                      DensePass::backward_data);
  return std::make_unique<Convolution>(spec, geometry, ConvolutionPass::backward_data);
}

std::unique_ptr<Kernel> make_backward_weights(const OpSpec& spec) {
  const auto geometry =
      geometry_of(spec, spec.reads[0].spec.shape, spec.reads[1].spec.shape, spec.writes[0].spec.shape, spec.writes.size() > 1);
  return std::make_unique<Convolution>(spec, geometry, ConvolutionPass::backward_weights);
}

const RegisterKernel forward("conv2d.forward", make_forward);
const RegisterKernel backward_data("conv2d.backward_data", make_backward_data);
const RegisterKernel backward_weights("conv2d.backward_weights", make_backward_weights);

}  // namespace

}  // namespace lockstep::cuda
