// loss = mean over the sample's elements of (prediction - target)^2, target f32, optional weight of the sample f32 [].
#include "core/model/layer.h"

namespace lockstep {
namespace {

class MeanSquaredError : public Loss {
 public:
  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    check(inputs);
    std::vector<Operand> reads = {{Role::input, 0}, {Role::input, 1}};
    if (inputs.size() == 3) reads.push_back({Role::input, 2});
    LayerSpec spec;
    spec.statistics = {{"loss", 2}};
    spec.forward = {lane_phase("mean_squared_error.forward", reads, {{Role::statistic, 0}}), reduce_phase(ReduceKind::add, {0})};
    spec.evaluate = spec.forward;
    reads.insert(reads.begin() + 2, {Role::statistic, 0});
    spec.backward = {rows_phase("mean_squared_error.backward", reads, {{Role::input_gradient, 0, true}})};
    return spec;
  }

 private:
  /// A target without extents serves a prediction of one element.
  static void check(std::span<const TensorSpec> inputs) {
    if (inputs.size() != 2 && inputs.size() != 3)
      fail(ErrorKind::run_file, "expected a prediction, a target and optional weights, got {} inputs", inputs.size());
    if (!is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected a prediction f32, bf16 or f16, got {}", inputs[0].text());
    const bool single = inputs[0].elements() == 1 && inputs[1].elements() == 1;
    if (inputs[1].dtype != Dtype::f32 || !(single || inputs[1].shape == inputs[0].shape))
      fail(ErrorKind::run_file, "expected a target {} f32 like the prediction, got {}", inputs[0].shape.text(), inputs[1].text());
    if (inputs.size() == 3 && !(inputs[2] == TensorSpec{{}, Dtype::f32}))
      fail(ErrorKind::run_file, "expected weights [] f32, got {}", inputs[2].text());
  }
};

std::unique_ptr<Loss> make(Options& options) {
  if (!options.take("mean_squared_error")->is_boolean()) options.text("mean_squared_error");
  return std::make_unique<MeanSquaredError>();
}

const Register<Loss> registered{{.name = "mean_squared_error", .summary = "mean squared difference from a float target", .make = make}};

}  // namespace
}  // namespace lockstep
