#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/layer.h"

namespace lockstep {

/// A value of the graph: an input of the model, or an output of a node.
struct GraphValue {
  std::string name;
  TensorSpec spec;    ///< of one sample
  int producer = -1;  ///< node, or -1 for an input of the model
};

enum class NodeRole : std::uint8_t { layer, loss, metric };

struct GraphNode {
  std::string name;  ///< stable: parameters are named `name.weight`
  std::string kind;  ///< the registered name, such as "conv2d"
  NodeRole role = NodeRole::layer;
  std::shared_ptr<const Layer> layer;  ///< two owners: the graph, and the graph that fusion derives from it
  LayerSpec spec;
  std::vector<int> inputs, outputs;  ///< values
  int shares = -1;                   ///< the node whose parameters this one uses, or -1
};

/// A model: a graph of layers, losses and metrics, each added after what it reads. Pure data.
class Graph {
 public:
  /// Adds an input of the model, such as "input" or "target"; returns its value.
  int input(std::string name, TensorSpec spec);

  /// Adds a layer and returns its first output. Names must be unique; `run_file` error naming the layer when the
  /// shapes do not fit. `share` names an earlier layer whose parameters are used (their shapes must agree).
  int add(std::string kind, std::shared_ptr<const Layer> layer, std::string name, std::vector<int> inputs, std::string_view share = {});
  int add_loss(std::string kind, std::shared_ptr<const Loss> loss, std::string name, std::vector<int> inputs);
  int add_metric(std::string kind, std::shared_ptr<const Metric> metric, std::string name, std::vector<int> inputs);

  /// The model's result for `predict` and `export`.
  void set_output(int value) { output_ = value; }
  int output() const { return output_; }

  const std::vector<GraphNode>& nodes() const { return nodes_; }
  const std::vector<GraphValue>& values() const { return values_; }
  const std::vector<int>& inputs() const { return inputs_; }
  /// The node of that name, or -1.
  int find(std::string_view name) const;

 private:
  int add_node(NodeRole role, std::string kind, std::shared_ptr<const Layer> layer, std::string name, std::vector<int> inputs, std::string_view share);

  std::vector<GraphNode> nodes_;
  std::vector<GraphValue> values_;
  std::vector<int> inputs_;
  int output_ = -1;
};

}  // namespace lockstep
