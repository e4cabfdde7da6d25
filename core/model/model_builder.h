#pragma once

#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/model/graph.h"

namespace lockstep {

/// An input of the model, as the data delivers it: "input", "target".
struct NamedInput {
  std::string name;
  TensorSpec spec;
};

/// Builds the graph of a `[model]` table:
///   layers    the list of layers, read from top to bottom; each takes the output of the one before
///   defaults  `defaults.conv2d = { ... }`: options merged under each use of that layer or block
///   blocks    `blocks.basic = { options, main, layers }`, used like a layer
///   output    the layer whose output is the model's result; the last one by default
///
/// A layer is a string (no options) or a table in which exactly one key names a registered layer or a block; its value
/// is the main option. Beside a layer's own options a table takes `name`, `from` (a name or a list of names: what it
/// reads) and `share` (the name of a layer whose weights it uses). Names in `from` and `share` are looked for among
/// the layers of the same list, then of the lists around it, then among the model's inputs; inside a block "input" is
/// what the block was given.
///
/// `{ residual = [...], shortcut = ... }` adds a list's output to its input. Shortcut "identity" (the default) adds the
/// input itself; "project" does so where the shapes agree and otherwise passes it through a convolution of size 1
/// (rank 1: a dense layer) and batch norm; a list of layers stands for itself.
///
/// A block's `options` table names its options, each with a default or "required"; `"$filters"` in its layers stands
/// for the value of an option, and `"$filters*4"`, `"$filters/2"` for an integer's multiple or exact part. The value
/// under the block's own name goes to the option that `main` names, or else to the only required one.
///
/// Names are stable: an unnamed layer is called by its kind, counted from the second of a kind in its list on
/// (`conv2d`, `conv2d_2`), behind the path of lists round it: `basic_2.residual.conv2d`. Layers with a name of their
/// own are not counted.
///
/// The first layer reads inputs[0]. Every input becomes an input of the graph, in order. Errors are `run_file`, with
/// file, line and column.
Graph build_model(const Value& model, const std::vector<NamedInput>& inputs);

/// Adds the loss, a node called "loss", and the metrics, nodes called by their kind or `name`. All read the model's
/// result. A loss's main option names the graph input with its target ("target" by default), a metric's option
/// `target` does (the loss's by default).
void add_training_heads(Graph& graph, const Value& loss, const std::vector<Value>& metrics);

}  // namespace lockstep
