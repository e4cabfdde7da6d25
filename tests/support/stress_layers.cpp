#include "tests/support/stress_layers.h"

#include "core/backend/cpu/register.h"
#include "core/model/layer.h"

namespace lockstep {
namespace {

class StressMix final : public Layer {
 public:
  explicit StressMix(Options& options) : width_(options.integer("stress_mix", {}, {.least = 1})) {}

  LayerSpec describe(std::span<const TensorSpec> inputs) const override {
    if (inputs.size() != 2) fail(ErrorKind::run_file, "expected two inputs, got {}", inputs.size());
    for (const TensorSpec& input : inputs)
      if (input.shape != Shape{width_}) fail(ErrorKind::run_file, "expected [{}], got {}", width_, input.shape.text());
    const TensorSpec value{Shape{width_}, Dtype::f32};
    LayerSpec spec;
    spec.outputs = {value};
    spec.parameters = {{.name = "weight", .shape = Shape{width_}, .initializer = Value::text("ones")}};
    spec.state = {{.name = "carry", .spec = value, .scope = StateScope::batch_position}};
    spec.saved = {value};
    spec.forward = {rows_phase("stress_mix.forward", {{Role::input, 0}, {Role::input, 1}, {Role::parameter, 0}, {Role::state, 0}},
                               {{Role::output, 0}, {Role::saved, 0}, {Role::state, 0}})};
    spec.evaluate = spec.forward;
    spec.backward = {rows_phase("stress_mix.backward_data", {{Role::output_gradient, 0}, {Role::input, 1}, {Role::parameter, 0}, {Role::saved, 0}},
                                {{Role::input_gradient, 0}, {Role::input_gradient, 1}}),
                     lane_phase("stress_mix.backward_weight", {{Role::output_gradient, 0}, {Role::input, 0}, {Role::input, 1}}, {{Role::parameter_gradient, 0}})};
    return spec;
  }

 private:
  std::int64_t width_;
};

template <class T = float>
const T* in(const KernelCall& call, std::size_t i) {
  return static_cast<const T*>(call.reads[i]);
}
template <class T = float>
T* out(const KernelCall& call, std::size_t i) {
  return static_cast<T*>(call.writes[i]);
}

void mix_forward(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t k = spec.reads[0].spec.elements();
  for (std::int64_t i = 0; i < call.rows * k; ++i) {
    const float h = 0.5f * in(call, 3)[i] + in(call, 2)[i % k] * in(call, 0)[i];
    out(call, 1)[i] = h;
    out(call, 2)[i] = h;
    out(call, 0)[i] = h * in(call, 1)[i];
  }
}

void mix_backward_data(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t k = spec.reads[0].spec.elements();
  for (std::int64_t i = 0; i < call.rows * k; ++i) {
    const float dy = in(call, 0)[i];
    if (call.writes[0]) out(call, 0)[i] = dy * in(call, 1)[i] * in(call, 2)[i % k];
    if (call.writes[1]) out(call, 1)[i] = dy * in(call, 3)[i];
  }
}

void mix_backward_weight(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t k = spec.reads[0].spec.elements();
  for (std::int64_t j = 0; j < k; ++j) {
    float sum = 0;
    for (std::int64_t r = 0; r < call.rows; ++r) sum += in(call, 0)[r * k + j] * in(call, 2)[r * k + j] * in(call, 1)[r * k + j];
    out(call, 0)[j] = sum;
  }
}

class CentredSquares final : public Loss {
 public:
  explicit CentredSquares(Options& options) { options.text("centred_squares"); }

  LayerSpec describe(std::span<const TensorSpec>) const override {
    LayerSpec spec;
    spec.statistics = {{.name = "loss", .size = 2}, {.name = "mean", .size = 2}, {.name = "error", .size = 2}};
    spec.forward = {lane_phase("centred_squares.mean", {{Role::input, 0}}, {{Role::statistic, 1}}), reduce_phase(ReduceKind::add, {1}),
                    lane_phase("centred_squares.loss", {{Role::input, 0}, {Role::input, 1}, {Role::statistic, 1}}, {{Role::statistic, 0}, {Role::statistic, 2}}),
                    reduce_phase(ReduceKind::add, {0, 2})};
    spec.evaluate = spec.forward;
    spec.backward = {rows_phase("centred_squares.backward", {{Role::input, 0}, {Role::input, 1}, {Role::statistic, 1}, {Role::statistic, 2}},
                                {{Role::input_gradient, 0}})};
    return spec;
  }
};

/// Per-sample mean over the sample's elements is left out: each element counts as one.
void centred_mean(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t n = call.rows * spec.reads[0].spec.elements();
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += in(call, 0)[i];
  out<double>(call, 0)[0] = sum;
  out<double>(call, 0)[1] = static_cast<double>(n);
}

double centred_error(const KernelCall& call, std::size_t statistic, std::int64_t i) {
  const double* mean = in<double>(call, statistic);
  return static_cast<double>(in(call, 0)[i]) - mean[0] / mean[1] - static_cast<double>(in(call, 1)[i]);
}

void centred_loss(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t n = call.rows * spec.reads[0].spec.elements();
  double squares = 0, errors = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double e = centred_error(call, 2, i);
    squares += e * e;
    errors += e;
  }
  out<double>(call, 0)[0] = squares;
  out<double>(call, 0)[1] = static_cast<double>(n);
  out<double>(call, 1)[0] = errors;
  out<double>(call, 1)[1] = static_cast<double>(n);
}

void centred_backward(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t n = call.rows * spec.reads[0].spec.elements();
  const double* error = in<double>(call, 3);
  for (std::int64_t i = 0; i < n; ++i)
    out(call, 0)[i] = static_cast<float>(2.0 * static_cast<double>(call.step->loss_scale) * (centred_error(call, 2, i) - error[0] / error[1]) / error[1]);
}

}  // namespace

void use_stress_layers() {
  static const Register<Layer> mix{{.name = "stress_mix", .summary = "test layer", .make = [](Options& o) { return std::make_unique<StressMix>(o); }}};
  static const Register<Loss> loss{{.name = "centred_squares", .summary = "test loss", .make = [](Options& o) { return std::make_unique<CentredSquares>(o); }}};
  static const cpu::RegisterKernel kernels[] = {{"stress_mix.forward", cpu::simple_kernel(mix_forward)},
                                                {"stress_mix.backward_data", cpu::simple_kernel(mix_backward_data)},
                                                {"stress_mix.backward_weight", cpu::simple_kernel(mix_backward_weight)},
                                                {"centred_squares.mean", cpu::simple_kernel(centred_mean)},
                                                {"centred_squares.loss", cpu::simple_kernel(centred_loss)},
                                                {"centred_squares.backward", cpu::simple_kernel(centred_backward)}};
  (void)mix, (void)loss, (void)kernels;
}

}  // namespace lockstep
