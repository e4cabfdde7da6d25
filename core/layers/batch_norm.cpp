// y = weight * (x - mean) / sqrt(variance + epsilon) + bias [+ residual] [, relu], per channel of [..., c]. Mean and biased variance are
// taken over the positions of the whole global batch, or over groups of `group_lanes` lanes ("ghost batch norm", Hoffer et al. 2017). Ioffe
// and Szegedy 2015. running = (1 - momentum) * running + momentum * batch, with the unbiased variance.
#include "core/model/layer.h"

namespace lockstep {
namespace {

struct BatchNormOptions {
  double momentum = 0.1, epsilon = 1e-5;
  bool frozen = false;
  std::int64_t group_lanes = 0;
  bool add = false, relu = false;  ///< taken in by fusion
  Value init = Value::text("ones");  ///< of the weight
};

class BatchNorm : public Layer {
 public:
  explicit BatchNorm(BatchNormOptions options) : options_(options) {}

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    check(inputs);
    const Shape channels{inputs[0].shape[inputs[0].shape.rank() - 1]};
    LayerSpec spec;
    spec.outputs = {inputs[0]};
    spec.parameters = {{.name = "weight", .shape = channels, .kind = ParameterKind::norm, .initializer = options_.init},
                       {.name = "bias", .shape = channels, .kind = ParameterKind::norm}};
    spec.state = {{.name = "running_mean", .spec = {channels, Dtype::f32}},
                  {.name = "running_var", .spec = {channels, Dtype::f32}, .initial = 1.0}};
    const Phase inference =
        rows_phase("batch_norm.inference", forward_reads({{Role::state, 0}, {Role::state, 1}}), {{Role::output}}, attributes());
    spec.evaluate = {inference};
    if (options_.frozen) {
      spec.forward = {inference};
      add_frozen_backward(spec);
    } else {
      add_training(spec, channels[0]);
    }
    return spec;
  }

  std::unique_ptr<Layer> absorb(std::string_view kind) const override {
    BatchNormOptions fused = options_;
    if (fused.relu) return nullptr;
    if (kind == "relu")
      fused.relu = true;
    else if (kind == "add" && !fused.add)
      fused.add = true;
    else
      return nullptr;
    return std::make_unique<BatchNorm>(fused);
  }

 private:
  void check(std::span<const TensorSpec> inputs) const {
    const std::size_t expected = options_.add ? 2 : 1;
    if (inputs.size() != expected)
      fail(ErrorKind::run_file, "expected {} input{}, got {}", expected, expected == 1 ? "" : "s", inputs.size());
    if (inputs[0].shape.rank() < 1) fail(ErrorKind::run_file, "expected [..., c], got {}", inputs[0].shape.text());
    if (!is_activation(inputs[0].dtype))
      fail(ErrorKind::run_file, "expected f32, bf16 or f16, got {}", inputs[0].text());
    if (options_.add && !(inputs[1] == inputs[0]))
      fail(ErrorKind::run_file, "expected two inputs {}, got {}", inputs[0].text(), inputs[1].text());
  }

  Attributes attributes() const {
    return {{"epsilon", options_.epsilon},
            {"momentum", options_.momentum},
            {"relu", std::int64_t{options_.relu}},
            {"add", std::int64_t{options_.add}}};
  }

  std::vector<Operand> forward_reads(std::vector<Operand> moments) const {
    std::vector<Operand> reads = {{Role::input}, {Role::parameter, 0}, {Role::parameter, 1}};
    reads.insert(reads.end(), moments.begin(), moments.end());
    if (options_.add) reads.push_back({Role::input, 1});
    return reads;
  }

  /// input, output gradient, ..., and last what tells where relu let through: `mask`, or the output where that would not do. Without a
  /// residual the input tells it, which is read anyway.
  std::vector<Operand> backward_reads(std::vector<Operand> others, std::vector<Operand> mask = {}) const {
    std::vector<Operand> reads = {{Role::input}, {Role::output_gradient}};
    reads.insert(reads.end(), others.begin(), others.end());
    if (options_.add || mask.empty()) mask = {{Role::output}};
    if (options_.relu) reads.insert(reads.end(), mask.begin(), mask.end());
    return reads;
  }

  std::vector<Operand> sums_writes(std::vector<Operand> writes) const {
    if (options_.add) writes.push_back({Role::input_gradient, 1, true});
    return writes;
  }

  void add_training(LayerSpec& spec, std::int64_t channels) const {
    const int group = static_cast<int>(options_.group_lanes);
    spec.statistics = {{"moments", 1 + 2 * channels}, {"gradient_sums", 2 * channels}};
    spec.forward = {lane_phase("batch_norm.moments", {{Role::input}}, {{Role::statistic, 0}}),
                    reduce_phase(ReduceKind::moments, {0}, group),
                    once_phase("batch_norm.update_moving", {{Role::statistic, 0}, {Role::state, 0}, {Role::state, 1}},
                               {{Role::state, 0}, {Role::state, 1}}, attributes()),
                    rows_phase("batch_norm.normalize", forward_reads({{Role::statistic, 0}}), {{Role::output}}, attributes())};
    spec.backward = {
        lane_phase("batch_norm.backward_sums", backward_reads({{Role::statistic, 0}}, {{Role::parameter, 0}, {Role::parameter, 1}}),
                   sums_writes({{Role::statistic, 1}, {Role::parameter_gradient, 0}, {Role::parameter_gradient, 1}}), attributes()),
        reduce_phase(ReduceKind::add, {1}, group),
        rows_phase("batch_norm.backward", backward_reads({{Role::parameter, 0}, {Role::statistic, 0}, {Role::statistic, 1}}, {{Role::parameter, 1}}),
                   {{Role::input_gradient, 0, true}}, attributes())};
  }

  void add_frozen_backward(LayerSpec& spec) const {
    spec.backward = {lane_phase("batch_norm.frozen_sums", backward_reads({{Role::state, 0}, {Role::state, 1}}),
                                sums_writes({{Role::parameter_gradient, 0}, {Role::parameter_gradient, 1}}), attributes()),
                     rows_phase("batch_norm.frozen_backward", backward_reads({{Role::parameter, 0}, {Role::state, 1}}),
                                {{Role::input_gradient, 0, true}}, attributes())};
  }

  BatchNormOptions options_;
};

std::unique_ptr<Layer> make(Options& options) {
  if (!options.boolean("batch_norm", true)) fail(ErrorKind::run_file, "{}expected true, got false", options.where("batch_norm"));
  BatchNormOptions read;
  read.momentum = options.real("momentum", read.momentum, {0.0, 1.0});
  read.epsilon = options.real("epsilon", read.epsilon, {1e-12, 1.0});
  read.frozen = options.boolean("frozen", read.frozen);
  read.group_lanes = options.integer("group_lanes", read.group_lanes, {0, 1 << 20});
  if (const Value* init = options.take("init")) read.init = *init;
  return std::make_unique<BatchNorm>(read);
}

const Register<Layer> registered{
    {.name = "batch_norm", .summary = "batch normalisation over the global batch or groups of lanes", .make = make}};

}  // namespace
}  // namespace lockstep
