// Share of samples whose largest logit is the label's; of equal logits the first counts. Logits [k], labels i64 [].
#include "core/model/layer.h"

namespace lockstep {
namespace {

class Accuracy : public Metric {
 public:
  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 2) fail(ErrorKind::run_file, "expected logits and labels, got {} inputs", inputs.size());
    if (inputs[0].shape.rank() != 1 || !is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected logits [k] f32, bf16 or f16, got {}", inputs[0].text());
    if (!(inputs[1] == TensorSpec{{}, Dtype::i64})) fail(ErrorKind::run_file, "expected labels [] i64, got {}", inputs[1].text());
    LayerSpec spec;
    spec.statistics = {{"accuracy", 2}};
    spec.evaluate = {lane_phase("top_k.count", {{Role::input, 0}, {Role::input, 1}}, {{Role::statistic, 0}}, {{"k", std::int64_t{1}}}),
                     reduce_phase(ReduceKind::add, {0})};
    return spec;
  }
};

std::unique_ptr<Metric> make(Options& options) {
  if (!options.take("accuracy")->is_boolean()) options.text("accuracy");
  return std::make_unique<Accuracy>();
}

const Register<Metric> registered{{.name = "accuracy", .summary = "share of samples whose largest logit is the label's", .make = make}};

}  // namespace
}  // namespace lockstep
