// y = x as one axis: [h, w, c] -> [h * w * c], in memory's order (NHWC).
#include "core/model/layer.h"

namespace lockstep {
namespace {

class Flatten : public Layer {
 public:
  explicit Flatten(Options& options) { options.expect_true("flatten"); }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 1) fail(ErrorKind::run_file, "expected one input, got {}", inputs.size());
    if (!is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", name_of(inputs[0].dtype));
    LayerSpec spec;
    spec.outputs = {{Shape{inputs[0].elements()}, inputs[0].dtype}};
    spec.forward = spec.evaluate = {rows_phase("copy", {{Role::input}}, {{Role::output}})};
    spec.backward = {rows_phase("copy", {{Role::output_gradient}}, {{Role::input_gradient, 0, true}})};
    return spec;
  }
};

const Register<Layer> registered{
    {.name = "flatten", .summary = "one axis from all", .make = [](Options& o) { return std::make_unique<Flatten>(o); }}};

}  // namespace
}  // namespace lockstep
