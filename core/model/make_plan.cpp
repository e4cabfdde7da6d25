#include <algorithm>
#include <string_view>

#include "core/base/error.h"
#include "core/model/plan.h"
#include "core/model/program_builder.h"

namespace lockstep {
namespace {

constexpr std::int64_t kParameterAlignment = 16;

void list_parameters(Plan& plan) {
  const auto& nodes = plan.graph->nodes();
  for (int n = static_cast<int>(nodes.size()) - 1; n >= 0; --n) {
    const GraphNode& node = nodes[static_cast<std::size_t>(n)];
    if (node.shares >= 0) continue;
    const auto sharers = std::ranges::count_if(nodes, [&](const GraphNode& other) { return other.shares == n; });
    for (const ParameterSpec& spec : node.spec.parameters) {
      plan.parameters.push_back(
          {.name = node.name + "." + spec.name, .spec = spec, .node = n, .offset = plan.arena_elements, .uses = 1 + static_cast<int>(sharers)});
      const std::int64_t elements = spec.shape.elements();
      plan.arena_elements += (elements + kParameterAlignment - 1) / kParameterAlignment * kParameterAlignment;
    }
  }
}

void cut_blocks(Plan& plan) {
  for (std::size_t p = 0; p < plan.parameters.size(); ++p) {
    const PlanParameter& parameter = plan.parameters[p];
    const std::int64_t elements = parameter.spec.shape.elements();
    for (std::int64_t at = 0; at < elements; at += plan.options.block_elements)
      plan.blocks.push_back({parameter.offset + at, std::min(plan.options.block_elements, elements - at), static_cast<int>(p)});
  }
}

void cut_buckets(Plan& plan) {
  const std::int64_t limit = std::max<std::int64_t>(1, plan.options.bucket_bytes / static_cast<std::int64_t>(sizeof(float)));
  for (std::size_t p = 0; p < plan.parameters.size(); ++p) {
    const std::int64_t begin = plan.parameters[p].offset;
    const std::int64_t end = p + 1 < plan.parameters.size() ? plan.parameters[p + 1].offset : plan.arena_elements;
    if (plan.buckets.empty() || plan.buckets.back().elements + (end - begin) > limit)
      plan.buckets.push_back({.offset = begin, .first_parameter = static_cast<int>(p)});
    Bucket& bucket = plan.buckets.back();
    bucket.elements += end - begin;
    bucket.last_parameter = static_cast<int>(p) + 1;
    plan.parameters[p].bucket = static_cast<int>(plan.buckets.size()) - 1;
  }
}

int group_of_statistic(const GraphNode& node, int index) {
  for (const auto* phases : {&node.spec.forward, &node.spec.backward, &node.spec.evaluate})
    for (const Phase& phase : *phases)
      if (phase.kind == PhaseKind::reduce)
        for (const Operand& written : phase.writes)
          if (written.index == index) return phase.group_lanes;
  return 0;
}

void list_states_and_statistics(Plan& plan) {
  for (std::size_t n = 0; n < plan.graph->nodes().size(); ++n) {
    const GraphNode& node = plan.graph->nodes()[n];
    for (const StateSpec& spec : node.spec.state)
      plan.states.push_back({.name = node.name + "." + spec.name, .spec = spec, .node = static_cast<int>(n)});
    const int first = static_cast<int>(plan.statistics.size());
    for (std::size_t i = 0; i < node.spec.statistics.size(); ++i)
      plan.statistics.push_back({.name = node.name + "." + node.spec.statistics[i].name,
                                 .size = node.spec.statistics[i].size,
                                 .node = static_cast<int>(n),
                                 .index = static_cast<int>(i),
                                 .group_lanes = group_of_statistic(node, static_cast<int>(i))});
    if (node.role == NodeRole::loss) {
      plan.losses.push_back(static_cast<int>(n));
      plan.loss_statistics.push_back(first);
    } else if (node.role == NodeRole::metric) {
      plan.metrics.push_back(static_cast<int>(n));
      plan.metric_statistics.push_back(first);
    }
  }
}

/// Whether an op multiplies matrices, which devices do in tf32 when asked to.
bool is_product(std::string_view op) { return op.starts_with("conv2d.") || op.starts_with("dense."); }

}  // namespace

std::int64_t Plan::parameter_elements() const {
  std::int64_t total = 0;
  for (const PlanParameter& parameter : parameters) total += parameter.spec.shape.elements();
  return total;
}

int Plan::smallest_group_lanes() const {
  int least = 0;
  for (const PlanStatistic& statistic : statistics)
    if (statistic.group_lanes > 0) least = least == 0 ? statistic.group_lanes : std::min(least, statistic.group_lanes);
  return least;
}

Plan make_plan(Graph graph, const PlanOptions& options) {
  if (options.global_batch < 1) fail(ErrorKind::run_file, "data.global_batch: expected at least 1, got {}", options.global_batch);
  if (options.lanes < 1) fail(ErrorKind::run_file, "run.lanes: expected at least 1, got {}", options.lanes);
  Plan plan;
  plan.options = options;
  plan.graph = std::make_shared<const Graph>(fuse(graph));
  list_parameters(plan);
  cut_blocks(plan);
  cut_buckets(plan);
  list_states_and_statistics(plan);
  plan.training = ProgramBuilder(plan).training();
  plan.evaluation = ProgramBuilder(plan).evaluation(plan.output_buffer_evaluation);
  return plan;
}

OpSpec op_spec(const Plan& plan, const PlanProgram& program, const Instruction& instruction) {
  OpSpec spec{.op = instruction.op, .layer = plan.graph->nodes()[static_cast<std::size_t>(instruction.node)].name, .kind = instruction.kind,
              .attributes = instruction.attributes, .lane_rows = plan.lane_rows(), .max_rows = plan.options.global_batch};
  const auto operand = [&](const PlanOperand& from) -> OperandSpec {
    const auto at = static_cast<std::size_t>(from.index);
    if (from.mode == WriteMode::skip) return {.role = Role::input_gradient, .mode = WriteMode::skip};
    switch (from.role) {
      case PlanRole::buffer: return {Role::input, program.buffers[at].spec, from.mode};
      case PlanRole::parameter: return {Role::parameter, {plan.parameters[at].spec.shape, Dtype::f32}, from.mode};
      case PlanRole::gradient: return {Role::parameter_gradient, {plan.parameters[at].spec.shape, Dtype::f32}, from.mode};
      case PlanRole::state: return {Role::state, plan.states[at].spec.spec, from.mode};
      case PlanRole::statistic: return {Role::statistic, {Shape{plan.statistics[at].size}, Dtype::f64}, from.mode};
    }
    fail(ErrorKind::internal, "unknown role");
  };
  if (plan.options.precision == Precision::tf32 && is_product(instruction.op)) spec.attributes.set("tf32", 1);
  for (const PlanOperand& read : instruction.reads) spec.reads.push_back(operand(read));
  for (const PlanOperand& write : instruction.writes) spec.writes.push_back(operand(write));
  return spec;
}

}  // namespace lockstep
