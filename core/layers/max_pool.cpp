// y[oh, ow, c] = max over kh, kw of x[oh*sh + kh - top, ow*sw + kw - left, c];  x [h, w, c]. dx takes dy at the maximum; of equal
// elements the first in row-major order of the window gets it, and a NaN is a maximum (both as in PyTorch).
#include "core/layers/pooling.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMostPositions = 256;  ///< the place of a maximum is kept in one byte

class MaxPool : public Layer {
 public:
  explicit MaxPool(Options& options) : window_(options, "max_pool") {
    if (window_.size[0] * window_.size[1] > kMostPositions)
      fail(ErrorKind::run_file, "{}\"max_pool\": expected a window of at most {} positions, got [{}, {}]", options.where("max_pool"),
           kMostPositions, window_.size[0], window_.size[1]);
  }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    LayerSpec spec;
    spec.outputs = {window_.output(inputs)};
    spec.saved = {{spec.outputs[0].shape, Dtype::u8}};
    const Attributes attributes = window_.attributes();
    spec.forward = {rows_phase("max_pool.forward", {{Role::input}}, {{Role::output}, {Role::saved}}, attributes)};
    spec.evaluate = {rows_phase("max_pool.evaluate", {{Role::input}}, {{Role::output}}, attributes)};
    spec.backward = {
        rows_phase("max_pool.backward", {{Role::output_gradient}, {Role::saved}}, {{Role::input_gradient, 0, true}}, attributes)};
    return spec;
  }

 private:
  PoolingWindow window_;
};

const Register<Layer> registered{{.name = "max_pool",
                                  .summary = "maximum of each window: size, stride, padding",
                                  .make = [](Options& options) { return std::make_unique<MaxPool>(options); }}};

}  // namespace
}  // namespace lockstep
