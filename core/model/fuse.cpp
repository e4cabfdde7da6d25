#include <algorithm>
#include <optional>

#include "core/model/plan.h"

namespace lockstep {
namespace {

struct Pair {
  int absorber = -1, consumer = -1;
  std::shared_ptr<const Layer> layer;
};

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.values().size(), 0);
  for (const GraphNode& node : graph.nodes())
    for (const int value : node.inputs) ++uses[static_cast<std::size_t>(value)];
  if (graph.output() >= 0) ++uses[static_cast<std::size_t>(graph.output())];
  return uses;
}

bool takes_part_in_sharing(const Graph& graph, int index) {
  const auto& nodes = graph.nodes();
  return nodes[static_cast<std::size_t>(index)].shares >= 0 || std::ranges::any_of(nodes, [&](const GraphNode& n) { return n.shares == index; });
}

std::optional<Pair> find_pair(const Graph& graph) {
  const auto uses = count_uses(graph);
  for (std::size_t c = 0; c < graph.nodes().size(); ++c) {
    const GraphNode& consumer = graph.nodes()[c];
    if (consumer.role != NodeRole::layer || !consumer.spec.parameters.empty()) continue;
    for (const int value : consumer.inputs) {
      const int n = graph.values()[static_cast<std::size_t>(value)].producer;
      if (n < 0 || uses[static_cast<std::size_t>(value)] != 1 || takes_part_in_sharing(graph, n)) continue;
      const GraphNode& node = graph.nodes()[static_cast<std::size_t>(n)];
      if (node.role != NodeRole::layer || node.outputs.size() != 1) continue;
      if (auto fused = node.layer->absorb(consumer.kind)) return Pair{n, static_cast<int>(c), std::move(fused)};
    }
  }
  return {};
}

/// The graph with the pair as one node, at the consumer's place: all that it reads exists there.
Graph apply(const Graph& graph, const Pair& pair) {
  Graph result;
  std::vector<int> map(graph.values().size(), -1);
  for (const int value : graph.inputs()) {
    const GraphValue& old = graph.values()[static_cast<std::size_t>(value)];
    map[static_cast<std::size_t>(value)] = result.input(old.name, old.spec);
  }
  const auto mapped = [&](const std::vector<int>& values) {
    std::vector<int> out;
    for (const int value : values) out.push_back(map[static_cast<std::size_t>(value)]);
    return out;
  };
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    if (static_cast<int>(i) == pair.absorber) continue;
    const GraphNode& node = graph.nodes()[i];
    if (static_cast<int>(i) == pair.consumer) {
      const GraphNode& first = graph.nodes()[static_cast<std::size_t>(pair.absorber)];
      std::vector<int> inputs = first.inputs;
      for (const int value : node.inputs)
        if (value != first.outputs.front()) inputs.push_back(value);
      map[static_cast<std::size_t>(node.outputs.front())] = result.add(first.kind + "+" + node.kind, pair.layer, first.name, mapped(inputs));
      continue;
    }
    if (node.role == NodeRole::loss) {
      result.add_loss(node.kind, std::static_pointer_cast<const Loss>(node.layer), node.name, mapped(node.inputs));
    } else if (node.role == NodeRole::metric) {
      result.add_metric(node.kind, std::static_pointer_cast<const Metric>(node.layer), node.name, mapped(node.inputs));
    } else {
      const std::string share = node.shares >= 0 ? graph.nodes()[static_cast<std::size_t>(node.shares)].name : "";
      const int output = result.add(node.kind, node.layer, node.name, mapped(node.inputs), share);
      for (std::size_t k = 0; k < node.outputs.size(); ++k) map[static_cast<std::size_t>(node.outputs[k])] = output + static_cast<int>(k);
    }
  }
  if (graph.output() >= 0) result.set_output(map[static_cast<std::size_t>(graph.output())]);
  return result;
}

}  // namespace

Graph fuse(const Graph& graph) {
  Graph result = graph;
  while (const auto pair = find_pair(result)) result = apply(result, *pair);
  return result;
}

}  // namespace lockstep
