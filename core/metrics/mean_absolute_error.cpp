// Mean over the samples of the mean over their elements of |prediction - target|, target f32.
#include "core/model/layer.h"

namespace lockstep {
namespace {

class MeanAbsoluteError : public Metric {
 public:
  bool larger_is_better() const override { return false; }

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 2) fail(ErrorKind::run_file, "expected a prediction and a target, got {} inputs", inputs.size());
    if (!is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected a prediction f32, bf16 or f16, got {}", inputs[0].text());
    const bool single = inputs[0].elements() == 1 && inputs[1].elements() == 1;
    if (inputs[1].dtype != Dtype::f32 || !(single || inputs[1].shape == inputs[0].shape))
      fail(ErrorKind::run_file, "expected a target {} f32 like the prediction, got {}", inputs[0].shape.text(), inputs[1].text());
    LayerSpec spec;
    spec.statistics = {{"mean_absolute_error", 2}};
    spec.evaluate = {lane_phase("mean_absolute_error.sum", {{Role::input, 0}, {Role::input, 1}}, {{Role::statistic, 0}}),
                     reduce_phase(ReduceKind::add, {0})};
    return spec;
  }
};

std::unique_ptr<Metric> make(Options& options) {
  if (!options.take("mean_absolute_error")->is_boolean()) options.text("mean_absolute_error");
  return std::make_unique<MeanAbsoluteError>();
}

const Register<Metric> registered{{.name = "mean_absolute_error", .summary = "mean absolute difference from a float target", .make = make}};

}  // namespace
}  // namespace lockstep
