// y[c] = mean over h, w of x[h, w, c];  dx[h, w, c] = dy[c] / (h w).
#include "core/model/layer.h"

namespace lockstep {
namespace {

class GlobalAveragePool : public Layer {
 public:
  explicit GlobalAveragePool(Options& options) { options.expect_true("global_average_pool"); }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 1) fail(ErrorKind::run_file, "expected one input [h, w, c], got {} inputs", inputs.size());
    const TensorSpec& x = inputs[0];
    if (x.shape.rank() != 3) fail(ErrorKind::run_file, "expected [h, w, c], got {}", x.shape.text());
    if (!is_activation(x.dtype)) fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", name_of(x.dtype));
    LayerSpec spec;
    spec.outputs = {{Shape{x.shape[2]}, x.dtype}};
    spec.forward = spec.evaluate = {rows_phase("global_average_pool.forward", {{Role::input}}, {{Role::output}})};
    spec.backward = {rows_phase("global_average_pool.backward", {{Role::output_gradient}}, {{Role::input_gradient, 0, true}})};
    return spec;
  }
};

const Register<Layer> registered{{.name = "global_average_pool",
                                  .summary = "mean over the image: [h, w, c] -> [c]",
                                  .make = [](Options& options) { return std::make_unique<GlobalAveragePool>(options); }}};

}  // namespace
}  // namespace lockstep
