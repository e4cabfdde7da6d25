#pragma once

#include <span>
#include <string>
#include <utility>

#include "core/base/formula.h"
#include "core/base/options.h"
#include "core/model/layer.h"

namespace lockstep {

/// A layer y = f(x) of each element, any shape, f32, bf16 or f16. `Formula` is a struct with
///   LOCKSTEP_FORMULA static float forward(float x);
///   LOCKSTEP_FORMULA static float gradient(float x, float y, float dy);   // d loss / d x
///   static constexpr bool kReadsInput, kReadsOutput;   // what gradient() looks at; the other one is passed as 0
/// and a layer's file ends in
///   const RegisterElementwise<Formula> registered("tanh", "hyperbolic tangent");
/// with RegisterElementwise from "elementwise_kernel.h", of which every backend has its own: the CPU's registers the layer
/// and its kernels, another backend compiles the same file and registers its kernels alone.
template <class Formula>
class ElementwiseLayer : public Layer {
 public:
  ElementwiseLayer(std::string name, Options& options) : name_(std::move(name)) { options.expect_true(name_); }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 1) fail(ErrorKind::run_file, "expected one input, got {}", inputs.size());
    if (!is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", lockstep::name_of(inputs[0].dtype));
    LayerSpec spec;
    spec.outputs = {inputs[0]};
    spec.forward = spec.evaluate = {rows_phase(name_ + ".forward", {{Role::input}}, {{Role::output}})};
    std::vector<Operand> reads = {{Role::output_gradient}};
    if (Formula::kReadsInput) reads.push_back({Role::input});
    if (Formula::kReadsOutput) reads.push_back({Role::output});
    spec.backward = {rows_phase(name_ + ".backward", reads, {{Role::input_gradient, 0, true}})};
    return spec;
  }

 private:
  std::string name_;
};

}  // namespace lockstep
