// y[n, o] = b[o] + sum over i of x[n, i] * w[o, i], as a 1x1 convolution with the rows along the width.
#include "core/backend/cpu/convolution.h"
#include "core/backend/cpu/register.h"

namespace lockstep::cpu {

namespace {

ConvolutionGeometry geometry_of(const Shape& weight, bool bias) {
  return {.in = weight[1], .out = weight[0], .bias = bias, .rows_along_width = true};
}

std::unique_ptr<Kernel> make_forward(const OpSpec& spec) {
  return std::make_unique<Convolution>(spec, geometry_of(spec.reads[1].spec.shape, spec.reads.size() > 2), ConvolutionPass::forward);
}

std::unique_ptr<Kernel> make_backward_data(const OpSpec& spec) {
  return std::make_unique<Convolution>(spec, geometry_of(spec.reads[1].spec.shape, false), ConvolutionPass::backward_data);
}

std::unique_ptr<Kernel> make_backward_weights(const OpSpec& spec) {
  return std::make_unique<Convolution>(spec, geometry_of(spec.writes[0].spec.shape, spec.writes.size() > 1),
                                       ConvolutionPass::backward_weights);
}

const RegisterKernel forward("dense.forward", make_forward);
const RegisterKernel backward_data("dense.backward_data", make_backward_data);
const RegisterKernel backward_weights("dense.backward_weights", make_backward_weights);

}  // namespace

}  // namespace lockstep::cpu
