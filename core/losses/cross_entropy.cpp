// loss = -sum_k t[k] * log(softmax(logits)[k]), logits [k], target label i64 [], optional weight of the sample f32 [].
// t = (1 - label_smoothing) * one_hot(label) + label_smoothing / k, as PyTorch defines it. d loss / d logits = softmax(logits) - t.
#include "core/model/layer.h"

namespace lockstep {
namespace {

class CrossEntropy : public Loss {
 public:
  explicit CrossEntropy(double label_smoothing) : label_smoothing_(label_smoothing) {}

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    check(inputs);
    const Attributes attributes = {{"label_smoothing", label_smoothing_}};
    std::vector<Operand> reads = {{Role::input, 0}, {Role::input, 1}};
    if (inputs.size() == 3) reads.push_back({Role::input, 2});
    LayerSpec spec;
    spec.statistics = {{"loss", 2}};
    spec.forward = {lane_phase("cross_entropy.forward", reads, {{Role::statistic, 0}}, attributes), reduce_phase(ReduceKind::add, {0})};
    spec.evaluate = spec.forward;
    reads.insert(reads.begin() + 2, {Role::statistic, 0});
    spec.backward = {rows_phase("cross_entropy.backward", reads, {{Role::input_gradient, 0, true}}, attributes)};
    return spec;
  }

 private:
  static void check(std::span<const TensorSpec> inputs) {
    if (inputs.size() != 2 && inputs.size() != 3)
      fail(ErrorKind::run_file, "expected logits, labels and optional weights, got {} inputs", inputs.size());
    if (inputs[0].shape.rank() != 1 || !is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected logits [k] f32, bf16 or f16, got {}", inputs[0].text());
    if (!(inputs[1] == TensorSpec{{}, Dtype::i64})) fail(ErrorKind::run_file, "expected labels [] i64, got {}", inputs[1].text());
    if (inputs.size() == 3 && !(inputs[2] == TensorSpec{{}, Dtype::f32}))
      fail(ErrorKind::run_file, "expected weights [] f32, got {}", inputs[2].text());
  }

  double label_smoothing_;
};

std::unique_ptr<Loss> make(Options& options) {
  // Its main option names the model input with the labels, which whoever builds the graph connects.
  if (!options.take("cross_entropy")->is_boolean()) options.text("cross_entropy");
  return std::make_unique<CrossEntropy>(options.real("label_smoothing", 0.0, {0.0, 1.0}));
}

const Register<Loss> registered{{.name = "cross_entropy", .summary = "softmax cross-entropy of logits and integer labels", .make = make}};

}  // namespace
}  // namespace lockstep
