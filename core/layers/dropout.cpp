// Training: y = x m / (1 - rate), m = 1 with probability 1 - rate, else 0; dx = dy m / (1 - rate). Evaluation: y = x.  Any shape.
// Srivastava et al. 2014. m is a function of seed, layer name, epoch, position in the epoch and element (Philox), so it
// is the same on any number of ranks, and the backward pass draws it again instead of storing it.
#include "core/model/layer.h"

namespace lockstep {
namespace {

class Dropout : public Layer {
 public:
  explicit Dropout(Options& options) : rate_(options.real("dropout", {}, {.least = 0.0})) {
    if (rate_ >= 1.0) fail(ErrorKind::run_file, "{}\"dropout\": expected a rate below 1, got {}", options.where("dropout"), rate_);
  }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 1) fail(ErrorKind::run_file, "expected one input, got {}", inputs.size());
    if (!is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", name_of(inputs[0].dtype));
    const Attributes attributes{{"rate", rate_}};
    LayerSpec spec;
    spec.outputs = {inputs[0]};
    spec.forward = {rows_phase("dropout.mask", {{Role::input}}, {{Role::output}}, attributes)};
    spec.backward = {rows_phase("dropout.mask", {{Role::output_gradient}}, {{Role::input_gradient, 0, true}}, attributes)};
    spec.evaluate = {rows_phase("copy", {{Role::input}}, {{Role::output}})};
    return spec;
  }

 private:
  double rate_;
};

const Register<Layer> registered{{.name = "dropout",
                                  .summary = "sets elements to zero at a rate, in training",
                                  .make = [](Options& options) { return std::make_unique<Dropout>(options); }}};

}  // namespace
}  // namespace lockstep
