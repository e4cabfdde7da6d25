// y = x0 + x1 [+ ...];  dx_i = dy.  Two or more inputs of one shape.
#include "core/model/layer.h"

namespace lockstep {
namespace {

class Add : public Layer {
 public:
  explicit Add(Options& options) { options.expect_true("add"); }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() < 2) fail(ErrorKind::run_file, "expected two or more inputs, got {}", inputs.size());
    if (!is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", name_of(inputs[0].dtype));
    LayerSpec spec;
    spec.outputs = {inputs[0]};
    std::vector<Operand> reads;
    for (int i = 0; i < static_cast<int>(inputs.size()); ++i) {
      const TensorSpec& x = inputs[static_cast<std::size_t>(i)];
      if (!(x == inputs[0])) fail(ErrorKind::run_file, "expected inputs of one shape, got {} and {}", inputs[0].text(), x.text());
      reads.push_back({Role::input, i});
      spec.backward.push_back(rows_phase("copy", {{Role::output_gradient}}, {{Role::input_gradient, i, true}}));
    }
    spec.forward = spec.evaluate = {rows_phase("add.forward", reads, {{Role::output}})};
    return spec;
  }
};

const Register<Layer> registered{
    {.name = "add", .summary = "sum of two or more inputs", .make = [](Options& o) { return std::make_unique<Add>(o); }}};

}  // namespace
}  // namespace lockstep
