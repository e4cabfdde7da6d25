#include "core/train/device_gradients.h"

#include <algorithm>

namespace lockstep {
namespace {

constexpr std::int64_t kUnit = 64;  // floats: slots begin at multiples of 256 bytes

std::int64_t rounded(std::int64_t elements) { return (elements + kUnit - 1) / kUnit * kUnit; }

}  // namespace

DeviceGradients::DeviceGradients(const Plan& plan, const PlanProgram& program, std::vector<const Kernel*> kernels, Backend& backend, RunMode mode,
                                 LaneSpan lanes, std::vector<LaneSpan> units, GradientSynchronizer& synchronizer)
    : plan_(plan),
      program_(program),
      kernels_(std::move(kernels)),
      backend_(backend),
      device_(backend.device()),
      mode_(mode),
      units_(std::move(units)),
      synchronizer_(synchronizer),
      paths_(plan.parameters.size()),
      bucket_instruction_(plan.buckets.size(), -1) {
  nodes_ = mode == RunMode::exact ? cover(lanes, plan.options.lanes) : std::vector<LaneSpan>{lanes};
  for (const LaneSpan& node : nodes_)
    node_units_.push_back(mode == RunMode::exact ? LaneSpan{node.first - lanes.first, node.last - lanes.first} : LaneSpan{0, static_cast<int>(units_.size())});
  for (std::size_t n = 1; n < nodes_.size(); ++n)
    node_arenas_.emplace_back(device_, static_cast<std::size_t>(plan.arena_elements) * sizeof(float), "gradients of a lane-tree node");
  const TensorSpec element{Shape{}, Dtype::f32};
  add_ = backend.make({.op = "gradient.add", .layer = "gradients", .kind = PhaseKind::rows, .reads = {{Role::input, element}},
                       .writes = {{Role::input, element, WriteMode::accumulate}}, .lane_rows = 1, .max_rows = 1});
  lay_out();
}

void DeviceGradients::lay_out() {
  std::int64_t use_slot = 0, use_plain = 0;
  for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
    const Instruction& instruction = program_.instructions[i];
    first_use_.emplace_back(instruction.writes.size(), false);
    for (std::size_t w = 0; w < instruction.writes.size(); ++w) {
      const PlanOperand& write = instruction.writes[w];
      if (write.role != PlanRole::gradient) continue;
      Path& path = paths_[static_cast<std::size_t>(write.index)];
      const PlanParameter& parameter = plan_.parameters[static_cast<std::size_t>(write.index)];
      path.plain = parameter.spec.shape.elements();
      path.shared = parameter.uses > 1;
      first_use_[i][w] = path.last_instruction < 0;
      path.last_instruction = static_cast<int>(i);
      bucket_instruction_[static_cast<std::size_t>(parameter.bucket)] = static_cast<int>(i);
      const std::int64_t own = kernels_[i]->slot_elements(static_cast<int>(w));
      if (path.shared) {
        use_slot = std::max({use_slot, rounded(own), rounded(path.plain)});
        use_plain = std::max(use_plain, rounded(path.plain));
      } else if (own > 0) {
        path.unpacker = kernels_[i];
        path.unpack_write = static_cast<int>(w);
      }
      path.slot = rounded(path.unpacker ? own : path.plain);
    }
  }
  const auto units = static_cast<std::int64_t>(units_.size());
  std::int64_t total = 0;
  for (Path& path : paths_) {
    if (path.last_instruction < 0) continue;
    path.direct = units == 1 && !path.shared && !path.unpacker;
    path.offset = total;
    if (!path.direct) total += units * path.slot;
    make_folds(path);
  }
  use_stride_ = use_slot;
  slots_ = DeviceBuffer(device_, static_cast<std::size_t>(total) * sizeof(float), "gradients of each lane");
  use_slot_ = DeviceBuffer(device_, static_cast<std::size_t>(use_slot * units) * sizeof(float), "gradients of a shared weight");
  use_plain_ = DeviceBuffer(device_, static_cast<std::size_t>(use_plain) * sizeof(float), "gradients of a shared weight");
}

void DeviceGradients::make_folds(Path& path) {
  if (path.direct) return;
  for (const LaneSpan& units : node_units_) {
    std::vector<std::int64_t> items;
    for (int u = units.first; u < units.last; ++u) {
      items.push_back(units_[static_cast<std::size_t>(u)].first);
      items.push_back(units_[static_cast<std::size_t>(u)].last);
    }
    const TensorSpec values{Shape{path.slot}, Dtype::f32};
    path.folds.push_back(backend_.make({.op = "fold.add_f32",
                                        .layer = "gradients",
                                        .kind = PhaseKind::once,
                                        .reads = {{Role::parameter_gradient, values}},
                                        .writes = {{Role::parameter_gradient, values}},
                                        .attributes = {{"nodes", items},
                                                       {"lanes", std::int64_t{plan_.options.lanes}},
                                                       {"stride", path.slot},
                                                       {"sequential", std::int64_t{mode_ == RunMode::fast}}}}));
  }
}

float* DeviceGradients::slot(int instruction, std::size_t write, int unit, float* arena) {
  const auto parameter = static_cast<std::size_t>(program_.instructions[static_cast<std::size_t>(instruction)].writes[write].index);
  const Path& path = paths_[parameter];
  if (path.shared) return use_slot_.as<float>() + unit * use_stride_;
  if (path.direct) return arena + plan_.parameters[parameter].offset;
  return slot_of(path, unit);
}

std::int64_t DeviceGradients::stride_bytes(int instruction, std::size_t write) const {
  const Path& path = paths_[static_cast<std::size_t>(program_.instructions[static_cast<std::size_t>(instruction)].writes[write].index)];
  return (path.shared ? use_stride_ : path.slot) * static_cast<std::int64_t>(sizeof(float));
}

std::size_t DeviceGradients::slot_bytes(int instruction, std::size_t write) const {
  const Path& path = paths_[static_cast<std::size_t>(program_.instructions[static_cast<std::size_t>(instruction)].writes[write].index)];
  if (path.direct) return static_cast<std::size_t>(path.plain) * sizeof(float);
  return static_cast<std::size_t>(stride_bytes(instruction, write));
}

/// One use of a shared weight, in its kernel's layout, joins the plain sum of each unit.
void DeviceGradients::add_use(int instruction, std::size_t write, Path& path) {
  const StreamView main = device_.stream(Queue::kMain);
  const auto i = static_cast<std::size_t>(instruction);
  for (int unit = 0; unit < static_cast<int>(units_.size()); ++unit) {
    const float* from = use_slot_.as<float>() + unit * use_stride_;
    if (kernels_[i]->slot_elements(static_cast<int>(write)) > 0) {
      kernels_[i]->unpack(static_cast<int>(write), from, use_plain_.as<float>(), main);
      from = use_plain_.as<float>();
    }
    float* to = slot_of(path, unit);
    if (first_use_[i][write]) {
      device_.copy(to, from, static_cast<std::size_t>(path.plain) * sizeof(float), main);
      continue;
    }
    const void* reads[] = {from};
    void* writes[] = {to};
    add_->run({.reads = reads, .writes = writes, .rows = path.plain, .stream = main});
  }
}

void DeviceGradients::fold(std::size_t parameter, float* arena) {
  Path& path = paths_[parameter];
  if (path.direct) return;
  const StreamView main = device_.stream(Queue::kMain);
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    float* items = slot_of(path, node_units_[n].first);
    float* target = node_arena(n, arena) + plan_.parameters[parameter].offset;
    const void* reads[] = {items};
    void* writes[] = {path.unpacker ? items : target};
    path.folds[n]->run({.reads = reads, .writes = writes, .rows = path.unpacker ? path.slot : path.plain, .stream = main});
    if (path.unpacker) path.unpacker->unpack(path.unpack_write, items, target, main);
  }
}

bool DeviceGradients::ends(int instruction) const {
  const auto& writes = program_.instructions[static_cast<std::size_t>(instruction)].writes;
  return std::ranges::any_of(writes, [](const PlanOperand& write) { return write.role == PlanRole::gradient; });
}

double DeviceGradients::fold_bytes() const {
  double elements = 0;
  for (const Path& path : paths_) {
    if (path.direct || path.last_instruction < 0) continue;
    const auto units = static_cast<double>(units_.size()), nodes = static_cast<double>(nodes_.size());
    elements += units * static_cast<double>(path.slot) + nodes * static_cast<double>(path.plain);
    // The sum in the kernel's layout is written and read once more.
    if (path.unpacker) elements += 2 * nodes * static_cast<double>(path.slot);
  }
  return elements * sizeof(float);
}

void DeviceGradients::written(int instruction, float* arena) {
  const Instruction& done = program_.instructions[static_cast<std::size_t>(instruction)];
  for (std::size_t w = 0; w < done.writes.size(); ++w) {
    if (done.writes[w].role != PlanRole::gradient) continue;
    const auto parameter = static_cast<std::size_t>(done.writes[w].index);
    if (paths_[parameter].shared) add_use(instruction, w, paths_[parameter]);
    if (paths_[parameter].last_instruction == instruction) fold(parameter, arena);
  }
  for (std::size_t b = 0; b < plan_.buckets.size(); ++b) {
    if (bucket_instruction_[b] != instruction) continue;
    const Bucket& bucket = plan_.buckets[b];
    std::vector<NodeGradient> nodes;
    for (std::size_t n = 0; n < nodes_.size(); ++n) nodes.push_back({nodes_[n], node_arena(n, arena) + bucket.offset});
    synchronizer_.reduce(static_cast<int>(b), bucket.elements, nodes, arena + bucket.offset, device_.stream(Queue::kMain));
  }
}

void DeviceGradients::finish() { synchronizer_.finish(device_.stream(Queue::kMain)); }

}  // namespace lockstep
