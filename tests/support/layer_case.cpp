#include "tests/support/layer_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "core/backend/cpu/register.h"
#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::test {
namespace {

constexpr std::byte kGuardByte{0xA5};

double load(const std::byte* data, Dtype dtype, std::int64_t i) {
  switch (dtype) {
    case Dtype::f32: return reinterpret_cast<const float*>(data)[i];
    case Dtype::bf16: return to_float(reinterpret_cast<const BFloat16*>(data)[i]);
    case Dtype::f64: return reinterpret_cast<const double*>(data)[i];
    case Dtype::u8: return reinterpret_cast<const std::uint8_t*>(data)[i];
    case Dtype::i32: return reinterpret_cast<const std::int32_t*>(data)[i];
    case Dtype::i64: return static_cast<double>(reinterpret_cast<const std::int64_t*>(data)[i]);
    case Dtype::f16: break;
  }
  fail(ErrorKind::internal, "layer case: no {} here", name_of(dtype));
}

void save(std::byte* data, Dtype dtype, std::int64_t i, double value) {
  switch (dtype) {
    case Dtype::f32: reinterpret_cast<float*>(data)[i] = static_cast<float>(value); return;
    case Dtype::bf16: reinterpret_cast<BFloat16*>(data)[i] = to_bfloat16(static_cast<float>(value)); return;
    case Dtype::f64: reinterpret_cast<double*>(data)[i] = value; return;
    case Dtype::u8: reinterpret_cast<std::uint8_t*>(data)[i] = static_cast<std::uint8_t>(value); return;
    case Dtype::i32: reinterpret_cast<std::int32_t*>(data)[i] = static_cast<std::int32_t>(value); return;
    case Dtype::i64: reinterpret_cast<std::int64_t*>(data)[i] = static_cast<std::int64_t>(value); return;
    case Dtype::f16: break;
  }
  fail(ErrorKind::internal, "layer case: no {} here", name_of(dtype));
}

/// Chan et al. 1983, written apart from the library's own: total = total (+) part.
void combine_moments(std::span<double> total, std::span<const double> part) {
  const std::size_t channels = (total.size() - 1) / 2;
  const double count = total[0] + part[0];
  if (part[0] == 0) return;
  for (std::size_t c = 0; c < channels; ++c) {
    const double delta = part[1 + c] - total[1 + c];
    total[1 + channels + c] += part[1 + channels + c] + delta * delta * total[0] * part[0] / count;
    total[1 + c] += delta * part[0] / count;
  }
  total[0] = count;
}

}  // namespace

Guarded::Guarded(std::size_t bytes) : buffer_(bytes + 2 * kGuard), bytes_(bytes) {
  std::fill_n(buffer_.data(), bytes + 2 * kGuard, kGuardByte);
  poison();
}

void Guarded::poison() { std::fill_n(buffer_.data() + kGuard, bytes_, std::byte{0xFF}); }

bool Guarded::intact() const {
  const auto whole = [](const std::byte* from) { return std::all_of(from, from + kGuard, [](std::byte b) { return b == kGuardByte; }); };
  return !buffer_.data() || (whole(buffer_.data()) && whole(buffer_.data() + kGuard + bytes_));
}

LayerCase::LayerCase(std::unique_ptr<const Layer> layer, std::vector<TensorSpec> inputs, const Backend* backend)
    : layer_(std::move(layer)), inputs_(std::move(inputs)), spec_(layer_->describe(inputs_)), backend_(backend), statistics_(spec_.statistics.size()) {
  step.seed = 1;
}

LayerCase::LayerCase(const Layer& twin_of, std::vector<TensorSpec> inputs, const Backend* backend)
    : twin_of_(&twin_of), inputs_(std::move(inputs)), spec_(twin_of.describe(inputs_)), backend_(backend), statistics_(spec_.statistics.size()) {}

TensorSpec LayerCase::spec_of(Role role, int index) const {
  const auto i = static_cast<std::size_t>(index);
  switch (role) {
    case Role::input:
    case Role::input_gradient: return inputs_.at(i);
    case Role::output:
    case Role::output_gradient: return spec_.outputs.at(i);
    case Role::saved: return spec_.saved.at(i);
    case Role::parameter:
    case Role::parameter_gradient: return {spec_.parameters.at(i).shape, Dtype::f32};
    case Role::state: return spec_.state.at(i).spec;
    case Role::statistic: return {Shape{spec_.statistics.at(i).size}, Dtype::f64};
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

WriteMode LayerCase::mode_of(const Operand& operand) const {
  if (operand.role != Role::input_gradient) return WriteMode::overwrite;
  for (const auto& [index, mode] : input_gradient_modes)
    if (index == operand.index) return mode;
  const Dtype dtype = inputs_.at(static_cast<std::size_t>(operand.index)).dtype;
  return dtype == Dtype::f32 || dtype == Dtype::bf16 ? WriteMode::overwrite : WriteMode::skip;
}

void LayerCase::poison(Role role, std::size_t count) {
  for (int i = 0; i < static_cast<int>(count); ++i)
    if (mode_of({role, i}) != WriteMode::accumulate) buffer(role, i).poison();
}

void LayerCase::run_forward() {
  prepare();
  poison(Role::output, spec_.outputs.size());
  poison(Role::saved, spec_.saved.size());
  for (Statistic& statistic : statistics_) statistic = {};
  run(spec_.forward);
}

void LayerCase::run_backward() {
  poison(Role::input_gradient, inputs_.size());
  poison(Role::parameter_gradient, spec_.parameters.size());
  run(spec_.backward);
}

void LayerCase::run_evaluate() {
  prepare();
  poison(Role::output, spec_.outputs.size());
  for (Statistic& statistic : statistics_) statistic = {};
  run(spec_.evaluate);
}

bool LayerCase::wanted(const Phase& phase) const {
  return std::any_of(phase.writes.begin(), phase.writes.end(), [&](const Operand& w) { return mode_of(w) != WriteMode::skip; });
}

void LayerCase::run(const std::vector<Phase>& phases) {
  step.batch_samples = rows;
  for (const Phase& phase : phases) {
    if (!wanted(phase)) continue;
    if (phase.kind == PhaseKind::reduce) {
      reduce(phase);
      continue;
    }
    Bound bound = bind(phase);
    for (const Rows& part : calls(phase)) call(phase, bound, part);
    finish(phase, bound);
  }
}

LayerCase::Bound LayerCase::bind(const Phase& phase) {
  Bound bound;
  bound.spec = {.op = phase.op, .layer = name, .kind = phase.kind, .reads = {}, .writes = {}, .attributes = phase.attributes};
  bound.spec.lane_rows = lane_rows(), bound.spec.max_rows = rows;
  int groups = 1;
  for (const Operand& r : phase.reads) {
    bound.spec.reads.push_back({r.role, spec_of(r.role, r.index), WriteMode::overwrite});
    if (r.role != Role::statistic) continue;
    const int group_lanes = statistics_.at(static_cast<std::size_t>(r.index)).group_lanes;
    if (group_lanes > 0) groups = std::max(groups, (lanes + group_lanes - 1) / group_lanes);
  }
  for (const Operand& w : phase.writes) {
    const WriteMode mode = mode_of(w);
    require(mode != WriteMode::accumulate || w.can_accumulate, "layer case: {} cannot accumulate", phase.op);
    bound.spec.writes.push_back({w.role, spec_of(w.role, w.index), mode});
  }
  if (phase.kind == PhaseKind::once) bound.spec.attributes.set("groups", std::int64_t{groups});
  if (backend_) {
    bound.kernel = backend_->make(bound.spec);
  } else {
    const auto it = cpu::kernels().find(phase.op);
    if (it == cpu::kernels().end()) fail(ErrorKind::run_file, "{}: no cpu kernel in this build", phase.op);
    bound.kernel = it->second(bound.spec);
  }
  bound.workspace = Guarded(bound.kernel->workspace_bytes());
  bound.packed.resize(phase.reads.size());
  for (std::size_t i = 0; i < phase.reads.size(); ++i) {
    if (phase.reads[i].role != Role::parameter) continue;
    const std::size_t bytes = bound.kernel->packed_bytes(static_cast<int>(i));
    if (!bytes) continue;
    bound.packed[i] = Guarded(bytes);
    bound.kernel->pack(static_cast<int>(i), reinterpret_cast<const float*>(buffer(Role::parameter, phase.reads[i].index).data()), bound.packed[i].data());
    EXPECT_TRUE(bound.packed[i].intact()) << phase.op << " packs outside its memory";
  }
  bound.slots.resize(phase.writes.size());
  bound.sums.resize(phase.writes.size());
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    const Operand& w = phase.writes[i];
    const std::size_t elements = static_cast<std::size_t>(spec_of(w.role, w.index).elements());
    const std::size_t slot = static_cast<std::size_t>(bound.kernel->slot_elements(static_cast<int>(i)));
    if (w.role == Role::statistic) bound.slots[i] = std::make_unique<Guarded>(elements * sizeof(double));
    if (w.role == Role::parameter_gradient) bound.slots[i] = std::make_unique<Guarded>((slot ? slot : elements) * sizeof(float));
  }
  return bound;
}

std::vector<LayerCase::Rows> LayerCase::calls(const Phase& phase) const {
  if (phase.kind == PhaseKind::once) return {{0, 0, 0}};
  std::vector<Rows> parts;
  const std::int64_t a_lane = lane_rows();
  if (phase.kind == PhaseKind::per_lane) {
    for (int l = 0; l < lanes; ++l) parts.push_back({std::min(rows, l * a_lane), std::min(rows, (l + 1) * a_lane), l});
    return parts;
  }
  std::int64_t border = rows;
  for (const Operand& r : phase.reads)
    if (r.role == Role::statistic) {
      const int group = statistics_.at(static_cast<std::size_t>(r.index)).group_lanes;
      if (group > 0) border = std::min(border, group * a_lane);
    }
  for (std::int64_t first = 0; first < rows;) {
    std::int64_t last = std::min(rows, (first / border + 1) * border);
    if (rows_per_call > 0) last = std::min(last, first + rows_per_call);
    parts.push_back({first, last, static_cast<int>(first / a_lane)});
    first = last;
  }
  return parts;
}

const void* LayerCase::read_pointer(const Operand& operand, const Rows& part, PhaseKind kind, const Guarded& packed) {
  if (operand.role == Role::statistic) {
    const Statistic& statistic = statistics_.at(static_cast<std::size_t>(operand.index));
    const std::int64_t size = spec_.statistics[static_cast<std::size_t>(operand.index)].size;
    if (!statistic.reduced) return statistic.lanes.data() + part.lane * size;
    const int group = statistic.group_lanes > 0 && kind != PhaseKind::once ? part.lane / statistic.group_lanes : 0;
    return statistic.totals.data() + group * size;
  }
  if (packed.bytes()) return packed.data();
  const std::size_t offset = per_sample(operand.role, operand.index) ? spec_of(operand.role, operand.index).bytes() * static_cast<std::size_t>(part.first) : 0;
  return buffer(operand.role, operand.index).data() + offset;
}

void LayerCase::call(const Phase& phase, Bound& bound, const Rows& part) {
  std::vector<const void*> reads;
  std::vector<void*> writes;
  for (std::size_t i = 0; i < phase.reads.size(); ++i) reads.push_back(read_pointer(phase.reads[i], part, phase.kind, bound.packed[i]));
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    const Operand& w = phase.writes[i];
    if (bound.slots[i]) bound.slots[i]->poison();
    if (bound.slots[i]) writes.push_back(bound.slots[i]->data());
    else if (bound.spec.writes[i].mode == WriteMode::skip) writes.push_back(nullptr);
    else writes.push_back(const_cast<void*>(read_pointer(w, part, phase.kind, {})));
  }
  bound.workspace.poison();
  KernelCall kernel_call{.reads = reads, .writes = writes, .rows = part.last - part.first, .first_row = first_row + part.first, .step = &step};
  kernel_call.workspace = bound.workspace.data();
  bound.kernel->run(kernel_call);
  EXPECT_TRUE(bound.workspace.intact()) << phase.op << " writes outside its workspace";
  for (const auto& [key, memory] : buffers_) EXPECT_TRUE(memory.intact()) << phase.op << " writes outside operand " << static_cast<int>(key.first) << "/" << key.second;
  gather(phase, bound, part.lane);
}

void LayerCase::gather(const Phase& phase, Bound& bound, int lane) {
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    if (!bound.slots[i]) continue;
    const Operand& w = phase.writes[i];
    const Guarded& slot = *bound.slots[i];
    EXPECT_TRUE(slot.intact()) << phase.op << " writes outside the slot of its write " << i;
    if (w.role == Role::statistic) {
      Statistic& statistic = statistics_[static_cast<std::size_t>(w.index)];
      const std::size_t size = slot.bytes() / sizeof(double);
      statistic.lanes.resize(size * static_cast<std::size_t>(lanes));
      std::memcpy(statistic.lanes.data() + size * static_cast<std::size_t>(lane), slot.data(), slot.bytes());
      continue;
    }
    const float* values = reinterpret_cast<const float*>(slot.data());
    bound.sums[i].resize(slot.bytes() / sizeof(float));
    for (std::size_t k = 0; k < bound.sums[i].size(); ++k) bound.sums[i][k] += values[k];
  }
}

void LayerCase::finish(const Phase& phase, Bound& bound) {
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    if (phase.writes[i].role != Role::parameter_gradient) continue;
    Guarded& plain = buffer(Role::parameter_gradient, phase.writes[i].index);
    if (bound.kernel->slot_elements(static_cast<int>(i)) == 0) std::memcpy(plain.data(), bound.sums[i].data(), plain.bytes());
    else bound.kernel->unpack(static_cast<int>(i), bound.sums[i].data(), reinterpret_cast<float*>(plain.data()));
    EXPECT_TRUE(plain.intact()) << phase.op << " unpacks outside its gradient";
  }
}

void LayerCase::reduce(const Phase& phase) {
  for (const Operand& w : phase.writes) {
    Statistic& statistic = statistics_.at(static_cast<std::size_t>(w.index));
    const std::size_t size = static_cast<std::size_t>(spec_.statistics[static_cast<std::size_t>(w.index)].size);
    require(statistic.lanes.size() == size * static_cast<std::size_t>(lanes), "layer case: statistic {} is reduced before it is written", w.index);
    const int group_lanes = phase.group_lanes > 0 ? phase.group_lanes : lanes;
    statistic.group_lanes = phase.group_lanes;
    statistic.reduced = true;
    statistic.totals.assign(size * static_cast<std::size_t>((lanes + group_lanes - 1) / group_lanes), 0.0);
    for (int lane = 0; lane < lanes; ++lane) {
      const std::span<double> total(statistic.totals.data() + size * static_cast<std::size_t>(lane / group_lanes), size);
      const std::span<const double> part(statistic.lanes.data() + size * static_cast<std::size_t>(lane), size);
      if (phase.reduce == ReduceKind::moments) combine_moments(total, part);
      else
        for (std::size_t k = 0; k < size; ++k) total[k] += part[k];
    }
  }
}

}  // namespace lockstep::test
