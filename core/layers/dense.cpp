// y[o] = b[o] + sum over i of x[i] * w[o, i];  x [in], w [units, in] in PyTorch's order, y [units].
// Weights start by Glorot and Bengio 2010 ("glorot_uniform"), biases at zero; "he_normal" suits a layer before a ReLU.
#include "core/base/registry.h"
#include "core/model/layer.h"

namespace lockstep {

namespace {

class Dense : public Layer {
 public:
  explicit Dense(Options& options)
      : units_(options.integer("dense", {}, {.least = 1})), bias_(options.boolean("bias", true)), init_(Value::text("glorot_uniform")) {
    if (const Value* init = options.take("init")) init_ = *init;
  }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 1) fail(ErrorKind::run_file, "expected one input [n], got {} inputs", inputs.size());
    const TensorSpec& x = inputs[0];
    if (x.shape.rank() != 1) fail(ErrorKind::run_file, "expected [n], got {}; put \"flatten\" before it", x.shape.text());
    if (!is_activation(x.dtype)) fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", name_of(x.dtype));
    const std::int64_t in = x.shape[0];
    LayerSpec spec;
    spec.outputs = {{Shape{units_}, x.dtype}};
    spec.parameters = {{.name = "weight", .shape = {units_, in}, .initializer = init_, .fan_in = in, .fan_out = units_}};
    std::vector<Operand> reads = {{Role::input}, {Role::parameter}};
    std::vector<Operand> gradients = {{Role::parameter_gradient}};
    if (bias_) {
      spec.parameters.push_back({.name = "bias", .shape = {units_}, .kind = ParameterKind::bias});
      reads.push_back({Role::parameter, 1});
      gradients.push_back({Role::parameter_gradient, 1});
    }
    const std::int64_t operations = 2 * units_ * in;
    spec.forward = spec.evaluate = {counted(operations, rows_phase("dense.forward", reads, {{Role::output}}))};
    spec.backward = {counted(operations, lane_phase("dense.backward_weights", {{Role::input}, {Role::output_gradient}}, gradients)),
                     counted(operations, rows_phase("dense.backward_data", {{Role::output_gradient}, {Role::parameter}}, {{Role::input_gradient}}))};
    return spec;
  }

 private:
  std::int64_t units_;
  bool bias_;
  Value init_;
};

const Register<Layer> registered{{.name = "dense", .summary = "fully connected layer: units, bias, init", .make = [](Options& options) {
                                    return std::make_unique<Dense>(options);
                                  }}};

}  // namespace

}  // namespace lockstep
