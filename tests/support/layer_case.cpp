#include "tests/support/layer_case.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "core/backend/cpu/register.h"

namespace lockstep::test {
namespace {

/// Lanes' results begin at multiples of this, with a gap of at least one byte between.
constexpr std::size_t kLaneGap = 256;

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

WriteMode LayerCase::mode_of(const Operand& operand) const {
  if (operand.role != Role::input_gradient) return WriteMode::overwrite;
  for (const auto& [index, mode] : input_gradient_modes)
    if (index == operand.index) return mode;
  const Dtype dtype = inputs_.at(static_cast<std::size_t>(operand.index)).dtype;
  return dtype == Dtype::f32 || dtype == Dtype::bf16 || dtype == Dtype::f16 ? WriteMode::overwrite : WriteMode::skip;
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
  fault_ = 0;
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
  fault_ = 0;
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
    for (const Rows& part : calls(phase, bound)) call(phase, bound, part);
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
    const Guarded& plain = buffer(Role::parameter, phase.reads[i].index);
    twin_.add(plain), twin_.add(bound.packed[i]);
    twin_.upload();
    bound.kernel->pack(static_cast<int>(i), reinterpret_cast<const float*>(twin_.at(plain.data())), twin_.at(bound.packed[i].data()),
                       twin_.stream());
    twin_.download();
    EXPECT_TRUE(bound.packed[i].intact()) << phase.op << " packs outside its memory";
  }
  bound.slots.resize(phase.writes.size());
  bound.sums.resize(phase.writes.size());
  bound.strides.resize(phase.writes.size());
  bound.slot_bytes.resize(phase.writes.size());
  bound.lanes = phase.kind == PhaseKind::per_lane ? lanes_at_once(phase, *bound.kernel) : 1;
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    const Operand& w = phase.writes[i];
    const std::size_t elements = static_cast<std::size_t>(spec_of(w.role, w.index).elements());
    const std::size_t slot = static_cast<std::size_t>(bound.kernel->slot_elements(static_cast<int>(i)));
    if (w.role == Role::statistic) bound.slot_bytes[i] = elements * sizeof(double);
    if (w.role == Role::parameter_gradient) bound.slot_bytes[i] = (slot ? slot : elements) * sizeof(float);
    if (!bound.slot_bytes[i]) continue;
    const std::size_t stride = (bound.slot_bytes[i] + 2 * kLaneGap - 1) / kLaneGap * kLaneGap;
    bound.strides[i] = static_cast<std::int64_t>(stride);
    bound.slots[i] = std::make_unique<Guarded>(stride * static_cast<std::size_t>(bound.lanes - 1) + bound.slot_bytes[i]);
  }
  return bound;
}

int LayerCase::group_end(const Phase& phase, int lane) const {
  int end = lanes;
  for (const Operand& r : phase.reads) {
    if (r.role != Role::statistic) continue;
    const Statistic& statistic = statistics_.at(static_cast<std::size_t>(r.index));
    const int group = statistic.reduced ? statistic.group_lanes : 1;
    if (group > 0) end = std::min(end, (lane / group + 1) * group);
  }
  return end;
}

int LayerCase::lanes_at_once(const Phase& phase, const Kernel& kernel) const {
  if (!kernel.takes_lanes()) return 1;
  const int most = group_end(phase, 0);
  return lanes_per_call > 0 ? std::min(lanes_per_call, most) : most;
}

std::vector<LayerCase::Rows> LayerCase::calls(const Phase& phase, const Bound& bound) const {
  if (phase.kind == PhaseKind::once) return {{0, 0, 0}};
  std::vector<Rows> parts;
  const std::int64_t a_lane = lane_rows();
  if (phase.kind == PhaseKind::per_lane) {
    for (int l = 0; l < lanes;) {
      const int end = std::min(group_end(phase, l), l + bound.lanes);
      parts.push_back({std::min(rows, l * a_lane), std::min(rows, end * a_lane), l, end - l});
      l = end;
    }
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
  const std::size_t offset =
      per_sample(operand.role, operand.index) ? spec_of(operand.role, operand.index).bytes() * static_cast<std::size_t>(part.first) : 0;
  return buffer(operand.role, operand.index).data() + offset;
}

void LayerCase::call(const Phase& phase, Bound& bound, const Rows& part) {
  std::vector<const void*> reads;
  std::vector<void*> writes;
  for (std::size_t i = 0; i < phase.reads.size(); ++i) reads.push_back(read_pointer(phase.reads[i], part, phase.kind, bound.packed[i]));
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    const Operand& w = phase.writes[i];
    if (bound.slots[i]) bound.slots[i]->poison();
    if (bound.slots[i])
      writes.push_back(bound.slots[i]->data());
    else if (bound.spec.writes[i].mode == WriteMode::skip)
      writes.push_back(nullptr);
    else
      writes.push_back(const_cast<void*>(read_pointer(w, part, phase.kind, {})));
  }
  bound.workspace.poison();
  std::int64_t fault = 0;
  for (const auto& [key, memory] : buffers_) twin_.add(memory);
  for (const Guarded& packed : bound.packed) twin_.add(packed);
  for (const auto& slot : bound.slots)
    if (slot) twin_.add(*slot);
  for (Statistic& statistic : statistics_) twin_.add(std::span(statistic.lanes)), twin_.add(std::span(statistic.totals));
  twin_.add(bound.workspace);
  twin_.add(std::span(&step, 1)), twin_.add(std::span(&fault, 1));
  twin_.upload();
  for (const void*& read : reads) read = twin_.at(read);
  for (void*& write : writes) write = twin_.at(write);
  KernelCall kernel_call{
      .reads = reads, .writes = writes, .rows = part.last - part.first, .first_row = first_row + part.first, .step = twin_.at(&step)};
  kernel_call.workspace = twin_.at(bound.workspace.data());
  kernel_call.stream = twin_.stream();
  if (phase.kind == PhaseKind::per_lane && bound.kernel->takes_lanes())
    kernel_call.lanes = part.lanes, kernel_call.lane_rows = lane_rows(), kernel_call.lane_strides = bound.strides;
  if (!twin_.on_host()) kernel_call.fault = twin_.at(&fault);
  bound.kernel->run(kernel_call);
  twin_.download();
  fault_ = std::max(fault_, fault);
  EXPECT_TRUE(bound.workspace.intact()) << phase.op << " writes outside its workspace";
  for (const auto& [key, memory] : buffers_)
    EXPECT_TRUE(memory.intact()) << phase.op << " writes outside operand " << static_cast<int>(key.first) << "/" << key.second;
  gather(phase, bound, part);
}

void LayerCase::gather(const Phase& phase, Bound& bound, const Rows& part) {
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    if (!bound.slots[i]) continue;
    const Operand& w = phase.writes[i];
    const Guarded& slots = *bound.slots[i];
    EXPECT_TRUE(slots.intact()) << phase.op << " writes outside the slots of its write " << i;
    for (int l = 0; l < part.lanes; ++l) {
      const std::byte* const slot = slots.data() + l * bound.strides[i];
      const std::byte* const gap_end = l + 1 < part.lanes ? slot + bound.strides[i] : slot + bound.slot_bytes[i];
      EXPECT_TRUE(std::all_of(slot + bound.slot_bytes[i], gap_end, [](std::byte b) { return b == std::byte{0xFF}; }))
          << phase.op << " writes between the lanes of its write " << i;
      if (w.role == Role::statistic) {
        Statistic& statistic = statistics_[static_cast<std::size_t>(w.index)];
        const std::size_t size = bound.slot_bytes[i] / sizeof(double);
        statistic.lanes.resize(size * static_cast<std::size_t>(lanes));
        std::memcpy(statistic.lanes.data() + size * static_cast<std::size_t>(part.lane + l), slot, bound.slot_bytes[i]);
        continue;
      }
      const float* values = reinterpret_cast<const float*>(slot);
      bound.sums[i].resize(bound.slot_bytes[i] / sizeof(float));
      for (std::size_t k = 0; k < bound.sums[i].size(); ++k) bound.sums[i][k] += values[k];
    }
  }
}

void LayerCase::finish(const Phase& phase, Bound& bound) {
  for (std::size_t i = 0; i < phase.writes.size(); ++i) {
    if (phase.writes[i].role != Role::parameter_gradient) continue;
    Guarded& plain = buffer(Role::parameter_gradient, phase.writes[i].index);
    if (bound.kernel->slot_elements(static_cast<int>(i)) == 0)
      std::memcpy(plain.data(), bound.sums[i].data(), plain.bytes());
    else
      unpack(*bound.kernel, static_cast<int>(i), bound.sums[i], plain);
    EXPECT_TRUE(plain.intact()) << phase.op << " unpacks outside its gradient";
  }
}

void LayerCase::unpack(const Kernel& kernel, int write, std::vector<float>& sum, const Guarded& plain) {
  twin_.add(std::span(sum)), twin_.add(plain);
  twin_.upload();
  kernel.unpack(write, twin_.at(sum.data()), reinterpret_cast<float*>(twin_.at(plain.data())), twin_.stream());
  twin_.download();
}

void LayerCase::reduce(const Phase& phase) {
  for (const Operand& w : phase.writes) {
    Statistic& statistic = statistics_.at(static_cast<std::size_t>(w.index));
    const std::size_t size = static_cast<std::size_t>(spec_.statistics[static_cast<std::size_t>(w.index)].size);
    require(statistic.lanes.size() == size * static_cast<std::size_t>(lanes), "layer case: statistic {} is reduced before it is written",
            w.index);
    const int group_lanes = phase.group_lanes > 0 ? phase.group_lanes : lanes;
    statistic.group_lanes = phase.group_lanes;
    statistic.reduced = true;
    statistic.totals.assign(size * static_cast<std::size_t>((lanes + group_lanes - 1) / group_lanes), 0.0);
    for (int lane = 0; lane < lanes; ++lane) {
      const std::span<double> total(statistic.totals.data() + size * static_cast<std::size_t>(lane / group_lanes), size);
      const std::span<const double> part(statistic.lanes.data() + size * static_cast<std::size_t>(lane), size);
      if (phase.reduce == ReduceKind::moments)
        combine_moments(total, part);
      else
        for (std::size_t k = 0; k < size; ++k) total[k] += part[k];
    }
  }
}

}  // namespace lockstep::test
