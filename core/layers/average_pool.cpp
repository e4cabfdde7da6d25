// y[oh, ow, c] = mean over the window's positions inside the image of x[oh*sh + kh - top, ow*sw + kw - left, c];  x [h, w, c].
// Padding is not counted: PyTorch's count_include_pad = False.
#include "core/layers/pooling.h"

namespace lockstep {
namespace {

class AveragePool : public Layer {
 public:
  explicit AveragePool(Options& options) : window_(options, "average_pool") {}

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    LayerSpec spec;
    spec.outputs = {window_.output(inputs)};
    const Attributes attributes = window_.attributes();
    spec.forward = spec.evaluate = {rows_phase("average_pool.forward", {{Role::input}}, {{Role::output}}, attributes)};
    spec.backward = {rows_phase("average_pool.backward", {{Role::output_gradient}}, {{Role::input_gradient, 0, true}}, attributes)};
    return spec;
  }

 private:
  PoolingWindow window_;
};

const Register<Layer> registered{{.name = "average_pool",
                                  .summary = "mean of each window: size, stride, padding",
                                  .make = [](Options& options) { return std::make_unique<AveragePool>(options); }}};

}  // namespace
}  // namespace lockstep
