#include "core/model/graph.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep {

int Graph::input(std::string name, TensorSpec spec) {
  const int value = static_cast<int>(values_.size());
  values_.push_back({.name = std::move(name), .spec = spec, .producer = -1});
  inputs_.push_back(value);
  return value;
}

int Graph::find(std::string_view name) const {
  const auto it = std::find_if(nodes_.begin(), nodes_.end(), [&](const GraphNode& node) { return node.name == name; });
  return it == nodes_.end() ? -1 : static_cast<int>(it - nodes_.begin());
}

int Graph::add(std::string kind, std::shared_ptr<const Layer> layer, std::string name, std::vector<int> inputs, std::string_view share) {
  const int node = add_node(NodeRole::layer, std::move(kind), std::move(layer), std::move(name), std::move(inputs), share);
  return nodes_[static_cast<std::size_t>(node)].outputs.front();
}

int Graph::add_loss(std::string kind, std::shared_ptr<const Loss> loss, std::string name, std::vector<int> inputs) {
  return add_node(NodeRole::loss, std::move(kind), std::move(loss), std::move(name), std::move(inputs), {});
}

int Graph::add_metric(std::string kind, std::shared_ptr<const Metric> metric, std::string name, std::vector<int> inputs) {
  return add_node(NodeRole::metric, std::move(kind), std::move(metric), std::move(name), std::move(inputs), {});
}

int Graph::add_node(NodeRole role, std::string kind, std::shared_ptr<const Layer> layer, std::string name, std::vector<int> inputs,
                    std::string_view share) {
  if (find(name) >= 0) fail(ErrorKind::run_file, "layer \"{}\": the name is taken; give each layer a name of its own", name);
  std::vector<TensorSpec> specs;
  for (const int value : inputs) {
    require(value >= 0 && value < static_cast<int>(values_.size()), "layer \"{}\" reads a value that does not exist", name);
    specs.push_back(values_[static_cast<std::size_t>(value)].spec);
  }
  GraphNode node{.name = std::move(name), .kind = std::move(kind), .role = role, .layer = std::move(layer), .inputs = std::move(inputs)};
  try {
    node.spec = node.layer->describe(specs);
  } catch (const Error& error) {
    fail(error.kind(), "layer \"{}\" ({}): {}", node.name, node.kind, error.what());
  }
  if (!share.empty()) {
    node.shares = find(share);
    if (node.shares < 0) fail(ErrorKind::run_file, "layer \"{}\": shares the weights of \"{}\", which is no earlier layer", node.name, share);
    const GraphNode& owner = nodes_[static_cast<std::size_t>(node.shares)];
    const bool fits = std::ranges::equal(owner.spec.parameters, node.spec.parameters,
                                         [](const ParameterSpec& a, const ParameterSpec& b) { return a.name == b.name && a.shape == b.shape; });
    if (!fits) fail(ErrorKind::run_file, "layer \"{}\": its weights have other shapes than those of \"{}\"", node.name, share);
    if (owner.shares >= 0) node.shares = owner.shares;
  }
  const int index = static_cast<int>(nodes_.size());
  for (std::size_t i = 0; i < node.spec.outputs.size(); ++i) {
    node.outputs.push_back(static_cast<int>(values_.size()));
    values_.push_back({.name = i == 0 ? node.name : fmt::format("{}.{}", node.name, i), .spec = node.spec.outputs[i], .producer = index});
  }
  nodes_.push_back(std::move(node));
  return index;
}

}  // namespace lockstep
