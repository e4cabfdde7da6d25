#include "tests/support/layer_case.h"

#include <algorithm>
#include <cmath>

#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep::test {
namespace {

double load(const std::byte* data, Dtype dtype, std::int64_t i) {
  switch (dtype) {
    case Dtype::f32:
      return reinterpret_cast<const float*>(data)[i];
    case Dtype::bf16:
      return to_float(reinterpret_cast<const BFloat16*>(data)[i]);
    case Dtype::f64:
      return reinterpret_cast<const double*>(data)[i];
    case Dtype::u8:
      return reinterpret_cast<const std::uint8_t*>(data)[i];
    case Dtype::i32:
      return reinterpret_cast<const std::int32_t*>(data)[i];
    case Dtype::i64:
      return static_cast<double>(reinterpret_cast<const std::int64_t*>(data)[i]);
    case Dtype::f16:
      return to_float(reinterpret_cast<const Float16*>(data)[i]);
  }
  fail(ErrorKind::internal, "layer case: no {} here", name_of(dtype));
}

void save(std::byte* data, Dtype dtype, std::int64_t i, double value) {
  switch (dtype) {
    case Dtype::f32:
      reinterpret_cast<float*>(data)[i] = static_cast<float>(value);
      return;
    case Dtype::bf16:
      reinterpret_cast<BFloat16*>(data)[i] = to_bfloat16(static_cast<float>(value));
      return;
    case Dtype::f64:
      reinterpret_cast<double*>(data)[i] = value;
      return;
    case Dtype::u8:
      reinterpret_cast<std::uint8_t*>(data)[i] = static_cast<std::uint8_t>(value);
      return;
    case Dtype::i32:
      reinterpret_cast<std::int32_t*>(data)[i] = static_cast<std::int32_t>(value);
      return;
    case Dtype::i64:
      reinterpret_cast<std::int64_t*>(data)[i] = static_cast<std::int64_t>(value);
      return;
    case Dtype::f16:
      reinterpret_cast<Float16*>(data)[i] = to_float16(static_cast<float>(value));
      return;
  }
  fail(ErrorKind::internal, "layer case: no {} here", name_of(dtype));
}

}  // namespace

LayerCase::LayerCase(std::unique_ptr<const Layer> layer, std::vector<TensorSpec> inputs, Backend* backend)
    : layer_(std::move(layer)),
      inputs_(std::move(inputs)),
      spec_(layer_->describe(inputs_)),
      backend_(backend),
      statistics_(spec_.statistics.size()),
      twin_(backend ? backend->device() : host_device()) {
  step.seed = 1;
}

LayerCase::LayerCase(const Layer& twin_of, std::vector<TensorSpec> inputs, Backend* backend)
    : twin_of_(&twin_of),
      inputs_(std::move(inputs)),
      spec_(twin_of.describe(inputs_)),
      backend_(backend),
      statistics_(spec_.statistics.size()),
      twin_(backend ? backend->device() : host_device()) {}

TensorSpec LayerCase::spec_of(Role role, int index) const {
  const auto i = static_cast<std::size_t>(index);
  switch (role) {
    case Role::input:
    case Role::input_gradient:
      return inputs_.at(i);
    case Role::output:
    case Role::output_gradient:
      return spec_.outputs.at(i);
    case Role::saved:
      return spec_.saved.at(i);
    case Role::parameter:
    case Role::parameter_gradient:
      return {spec_.parameters.at(i).shape, Dtype::f32};
    case Role::state:
      return spec_.state.at(i).spec;
    case Role::statistic:
      return {Shape{spec_.statistics.at(i).size}, Dtype::f64};
  }
  fail(ErrorKind::internal, "layer case: a role unknown");
}

bool LayerCase::per_sample(Role role, int index) const {
  if (role == Role::state) return spec_.state.at(static_cast<std::size_t>(index)).scope == StateScope::batch_position;
  return role != Role::parameter && role != Role::parameter_gradient && role != Role::statistic;
}

Guarded& LayerCase::buffer(Role role, int index) {
  auto [it, fresh] = buffers_.try_emplace({role, index});
  if (fresh) it->second = Guarded(spec_of(role, index).bytes() * static_cast<std::size_t>(per_sample(role, index) ? rows : 1));
  return it->second;
}

void LayerCase::fill(Role role, int index, std::uint64_t stream) {
  const TensorSpec spec = spec_of(role, index);
  const bool whole_numbers = spec.dtype == Dtype::i64 || spec.dtype == Dtype::i32 || spec.dtype == Dtype::u8;
  const std::uint64_t key = random_key(1, RandomPurpose::test, stream * 100 + static_cast<std::uint64_t>(index));
  std::vector<double> values(static_cast<std::size_t>(spec.elements() * (per_sample(role, index) ? rows : 1)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double u = Philox::uniform(Philox::draw(i, 0, key).w[0]);
    values[i] = whole_numbers ? std::floor(u * static_cast<double>(integer_limit)) : 2.0 * u - 1.0;
  }
  set(role, index, values);
}

void LayerCase::set(Role role, int index, const std::vector<double>& values) {
  const TensorSpec spec = spec_of(role, index);
  const std::int64_t elements = spec.elements() * (per_sample(role, index) ? rows : 1);
  require(elements == static_cast<std::int64_t>(values.size()), "layer case: expected {} values, got {}", elements, values.size());
  given_[{role, index}] = values;
  std::byte* data = buffer(role, index).data();
  for (std::int64_t i = 0; i < elements; ++i) save(data, spec.dtype, i, values[static_cast<std::size_t>(i)]);
}

std::vector<double> LayerCase::get(Role role, int index) {
  prepare();
  const TensorSpec spec = spec_of(role, index);
  std::vector<double> values(static_cast<std::size_t>(spec.elements() * (per_sample(role, index) ? rows : 1)));
  const std::byte* data = buffer(role, index).data();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = load(data, spec.dtype, static_cast<std::int64_t>(i));
  return values;
}

std::vector<double> LayerCase::statistic(int index, int group) const {
  const auto& totals = statistics_.at(static_cast<std::size_t>(index)).totals;
  const std::int64_t size = spec_.statistics.at(static_cast<std::size_t>(index)).size;
  require((group + 1) * size <= static_cast<std::int64_t>(totals.size()), "layer case: statistic {} has no group {}", index, group);
  return {totals.begin() + group * size, totals.begin() + (group + 1) * size};
}

void LayerCase::prepare() {
  if (prepared_rows_ == rows) return;
  require(prepared_rows_ < 0, "layer case: `rows` is set once, before the first run");
  prepared_rows_ = rows;
  const auto missing = [&](Role role, std::size_t i) { return !given_.count({role, static_cast<int>(i)}); };
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    if (missing(Role::input, i)) fill(Role::input, static_cast<int>(i), 1);
  for (std::size_t i = 0; i < spec_.parameters.size(); ++i)
    if (missing(Role::parameter, i)) fill(Role::parameter, static_cast<int>(i), 2);
  for (std::size_t i = 0; i < spec_.outputs.size(); ++i)
    if (missing(Role::output_gradient, i)) fill(Role::output_gradient, static_cast<int>(i), 3);
  for (std::size_t i = 0; i < spec_.state.size(); ++i) {
    if (!missing(Role::state, i)) continue;
    const std::int64_t elements = spec_.state[i].spec.elements() * (per_sample(Role::state, static_cast<int>(i)) ? rows : 1);
    set(Role::state, static_cast<int>(i), std::vector<double>(static_cast<std::size_t>(elements), spec_.state[i].initial));
  }
}

}  // namespace lockstep::test
