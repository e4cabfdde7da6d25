#include "core/model/model_builder.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/model/model_blocks.h"

namespace lockstep {
namespace {

Value empty_table(const Place& place) { return Value(Value::Data(Value::Table{}), place); }

/// One list of layers: the names in it begin with `prefix`.
struct Scope {
  const Scope* outer = nullptr;
  std::string prefix;
  int input = -1;         ///< what its first layer reads
  bool is_block = false;  ///< "input" means `input` here
  std::map<std::string, int> counts = {};
};

/// One entry of a list, taken apart.
struct Item {
  std::string kind;
  std::string name;  ///< in full
  Value options;     ///< without the builder's words
  std::vector<int> inputs;
  std::string share;
  std::string place;
};

class Builder {
 public:
  Builder(const Value& model, const std::vector<NamedInput>& inputs) : model_(model, "[model]"), blocks_(model_.take("blocks")) {
    require(!inputs.empty(), "a model needs an input");
    for (const NamedInput& input : inputs) inputs_[input.name] = graph_.input(input.name, input.spec);
    read_defaults();
  }

  Graph build() {
    const Value* layers = model_.take("layers");
    if (!layers || !layers->is_array() || layers->as_array().empty())
      fail(ErrorKind::run_file, "{}expected \"layers\", a list of layers", model_.where("layers"));
    Scope scope{.input = graph_.inputs().front()};
    int output = add_list(*layers, scope);
    if (model_.has("output")) output = find_value(model_.text("output"), scope, model_.where("output"));
    model_.finish();
    graph_.set_output(output);
    return std::move(graph_);
  }

 private:
  void read_defaults() {
    const Value* defaults = model_.take("defaults");
    defaults_ = defaults ? *defaults : Value();
    if (!defaults_.is_table()) fail(ErrorKind::run_file, "{}expected a table, got {}", model_.where("defaults"), defaults_.describe());
    for (const auto& [kind, options] : defaults_.as_table()) {
      if (!is_kind(kind))
        fail(ErrorKind::run_file, "{}: [model.defaults]: unknown layer \"{}\"{}", options.place().text(), kind, hint(kind, kinds()));
      if (!options.is_table())
        fail(ErrorKind::run_file, "{}: [model.defaults]: \"{}\": expected a table, got {}", options.place().text(), kind,
             options.describe());
    }
  }

  bool is_kind(std::string_view name) const {
    return name == "residual" || blocks_.contains(name) || Registry<Layer>::instance().find(name) != nullptr;
  }

  std::vector<std::string> kinds() const {
    auto result = Registry<Layer>::instance().names();
    for (const std::string& name : blocks_.names()) result.push_back(name);
    result.push_back("residual");
    std::sort(result.begin(), result.end());
    return result;
  }

  int add_list(const Value& layers, Scope& scope) {
    int value = scope.input;
    for (const Value& layer : layers.as_array()) value = add_item(read_item(layer, value, scope), scope);
    return value;
  }

  std::string kind_of(const Value& layer) const {
    const std::string place = layer.place().text();
    if (layer.is_text()) {
      if (!is_kind(layer.as_text()))
        fail(ErrorKind::run_file, "{}: unknown layer \"{}\"{}", place, layer.as_text(), hint(layer.as_text(), kinds()));
      return layer.as_text();
    }
    if (!layer.is_table()) fail(ErrorKind::run_file, "{}: expected the name of a layer or a table, got {}", place, layer.describe());
    std::vector<std::string> found, others;
    for (const auto& [key, value] : layer.as_table()) (is_kind(key) ? found : others).push_back(key);
    if (found.size() == 1) return found.front();
    if (found.size() > 1)
      fail(ErrorKind::run_file, "{}: {} keys of {} name a layer: {}; expected exactly one", place, found.size(), layer.describe(),
           join(found));
    std::string advice;
    for (const std::string& key : others)
      if (const auto near = nearest_names(key, kinds(), 1); !near.empty() && advice.empty())
        advice = "; did you mean \"" + near.front() + "\"?";
    fail(ErrorKind::run_file, "{}: no key of {} names a layer{}", place, layer.describe(),
         advice.empty() ? "; known: " + join(kinds()) : advice);
  }

  /// The use of a layer as a table, with the defaults of its kind under it.
  Value options_of(const std::string& kind, const Value& layer) const {
    Value options = layer;
    if (layer.is_text()) {
      options = empty_table(layer.place());
      options.set(kind, Value::boolean(true, layer.place()));
    }
    if (const Value* defaults = defaults_.find(kind))
      for (const auto& [key, value] : defaults->as_table())
        if (!options.find(key)) options.set(key, value);
    return options;
  }

  Item read_item(const Value& layer, int before, Scope& scope) const {
    const std::string place = layer.place().text();
    const std::string kind = kind_of(layer);
    const Value table = options_of(kind, layer);
    Options words(table, "layer \"" + kind + "\"");
    std::string name = words.text("name", "");
    if (table.find("name") && (name.empty() || name.find_first_of("./") != std::string::npos))
      fail(ErrorKind::run_file, "{}\"name\": expected a name without \".\" and \"/\", got \"{}\"", words.where("name"), name);
    if (name.empty()) {
      const int count = ++scope.counts[kind];
      name = count == 1 ? kind : kind + "_" + std::to_string(count);
    }
    Item item{.kind = kind, .name = scope.prefix + name, .options = table, .inputs = {before}, .place = place};
    if (table.find("from")) {
      item.inputs.clear();
      for (const std::string& from : words.texts("from")) item.inputs.push_back(find_value(from, scope, words.where("from")));
      if (item.inputs.empty()) fail(ErrorKind::run_file, "{}\"from\": expected at least one name", words.where("from"));
    }
    if (table.find("share")) item.share = find_layer(words.text("share"), scope, words.where("share"));
    for (const char* word : {"name", "from", "share"}) item.options.erase(word);
    return item;
  }

  int find_value(const std::string& name, const Scope& scope, const std::string& where) const {
    for (const Scope* at = &scope; at; at = at->outer) {
      if (const auto it = outputs_.find(at->prefix + name); it != outputs_.end()) return it->second;
      if (at->is_block && name == "input") return at->input;
    }
    if (const auto it = inputs_.find(name); it != inputs_.end()) return it->second;
    fail(ErrorKind::run_file, "{}no earlier layer and no input is named \"{}\"{}", where, name, hint(name, names_in(scope)));
  }

  std::string find_layer(const std::string& name, const Scope& scope, const std::string& where) const {
    for (const Scope* at = &scope; at; at = at->outer)
      if (graph_.find(at->prefix + name) >= 0) return at->prefix + name;
    fail(ErrorKind::run_file, "{}no earlier layer is named \"{}\"{}", where, name, hint(name, names_in(scope)));
  }

  std::vector<std::string> names_in(const Scope& scope) const {
    std::vector<std::string> names;
    for (const auto& [name, value] : inputs_) names.push_back(name);
    for (const auto& [name, value] : outputs_)
      if (name.starts_with(scope.prefix) && name.find('.', scope.prefix.size()) == std::string::npos)
        names.push_back(name.substr(scope.prefix.size()));
    return names;
  }

  int add_item(const Item& item, const Scope& scope) {
    if (outputs_.contains(item.name))
      fail(ErrorKind::run_file, "{}: layer \"{}\": the name is taken; give each layer a name of its own", item.place, item.name);
    const bool is_list = item.kind == "residual" || blocks_.contains(item.kind);
    if (is_list && item.inputs.size() != 1)
      fail(ErrorKind::run_file, "{}: \"{}\" takes one input, got {}", item.place, item.name, item.inputs.size());
    if (is_list && !item.share.empty())
      fail(ErrorKind::run_file, "{}: \"{}\": only a layer can share weights; name the layers inside", item.place, item.name);
    int value = -1;
    if (item.kind == "residual")
      value = add_residual(item, scope);
    else if (is_list)
      value = add_block(item, scope);
    else
      value = add_layer(item.kind, item.name, item.options, item.inputs, item.share);
    outputs_[item.name] = value;
    return value;
  }

  int add_layer(const std::string& kind, const std::string& name, const Value& options, std::vector<int> inputs,
                const std::string& share = {}) {
    std::shared_ptr<const Layer> layer = Registry<Layer>::instance().make(kind, Options(options, "layer \"" + name + "\" (" + kind + ")"));
    try {
      return graph_.add(kind, std::move(layer), name, std::move(inputs), share);
    } catch (const Error& error) {
      fail(error.kind(), "{}: {}", options.place().text(), error.what());
    }
  }

  int add_block(const Item& item, const Scope& outer) {
    if (std::find(open_.begin(), open_.end(), item.kind) != open_.end())
      fail(ErrorKind::run_file, "{}: block \"{}\" uses itself: {} > {}", item.place, item.kind, join(open_, " > "), item.kind);
    open_.push_back(item.kind);
    Scope scope{.outer = &outer, .prefix = item.name + ".", .input = item.inputs.front(), .is_block = true};
    const int value = add_list(blocks_.expand(item.kind, item.options), scope);
    open_.pop_back();
    return value;
  }

  int add_residual(const Item& item, const Scope& outer) {
    Options options(item.options, "\"" + item.name + "\"");
    const Value* layers = options.take("residual");
    if (!layers->is_array() || layers->as_array().empty())
      fail(ErrorKind::run_file, "{}expected a list of layers, got {}", options.where("residual"), layers->describe());
    const Value* given = options.take("shortcut");
    const Value shortcut = given ? *given : Value::text("identity", item.options.place());
    options.finish();
    Scope scope{.outer = &outer, .prefix = item.name + ".", .input = item.inputs.front()};
    const int main = add_list(*layers, scope);
    const int side = add_shortcut(shortcut, scope, main);
    const TensorSpec &a = spec_of(main), &b = spec_of(side);
    if (!(a == b))
      fail(ErrorKind::run_file, "{}: \"{}\": the layers give {}, the shortcut {}: expected equal shapes{}", item.place, item.name, a.text(),
           b.text(), shortcut.is_text() ? "; shortcut = \"project\" fits them" : "");
    Value add = empty_table(item.options.place());
    add.set("add", Value::boolean(true, item.options.place()));
    const int count = ++scope.counts["add"];
    return add_layer("add", scope.prefix + (count == 1 ? "add" : "add_" + std::to_string(count)), add, {main, side});
  }

  int add_shortcut(const Value& shortcut, const Scope& residual, int main) {
    Scope scope{.outer = &residual, .prefix = residual.prefix + "shortcut.", .input = residual.input};
    if (shortcut.is_array()) return add_list(shortcut, scope);
    const std::string word = shortcut.is_text() ? shortcut.as_text() : "";
    if (word != "identity" && word != "project")
      fail(ErrorKind::run_file, "{}: \"shortcut\": expected \"identity\", \"project\" or a list of layers, got {}", shortcut.place().text(),
           shortcut.describe());
    if (word == "identity" || spec_of(main) == spec_of(scope.input)) return scope.input;
    return add_projection(shortcut.place(), scope, spec_of(scope.input).shape, spec_of(main).shape);
  }

  /// A convolution of size 1 with the stride that takes `from` to `to`, or a dense layer; then batch norm.
  int add_projection(const Place& place, Scope& scope, const Shape& from, const Shape& to) {
    const auto refuse = [&] {
      fail(ErrorKind::run_file, "{}: \"shortcut\": no projection takes {} to {}: write the shortcut as a list of layers", place.text(),
           from.text(), to.text());
    };
    if (from.rank() != to.rank() || (from.rank() != 1 && from.rank() != 3)) refuse();
    Value table = empty_table(place);
    const std::string kind = from.rank() == 1 ? "dense" : "conv2d";
    table.set(kind, Value::integer(to[to.rank() - 1], place));
    if (kind == "conv2d") {
      Value::Array strides;
      for (int axis = 0; axis < 2; ++axis) {
        std::int64_t stride = 1;
        while ((from[axis] - 1) / stride + 1 > to[axis]) ++stride;
        if ((from[axis] - 1) / stride + 1 != to[axis]) refuse();
        strides.push_back(Value::integer(stride, place));
      }
      table.set("size", Value::integer(1, place));
      table.set("stride", Value(Value::Data(std::move(strides)), place));
      table.set("padding", Value::text("same", place));
    }
    table.set("bias", Value::boolean(false, place));
    Value list = Value(Value::Data(Value::Array{table, Value::text("batch_norm", place)}), place);
    return add_list(list, scope);
  }

  const TensorSpec& spec_of(int value) const { return graph_.values()[static_cast<std::size_t>(value)].spec; }

  Options model_;
  ModelBlocks blocks_;
  Value defaults_;
  Graph graph_;
  std::map<std::string, int, std::less<>> inputs_;
  std::map<std::string, int, std::less<>> outputs_;  ///< of layers, blocks and residuals, by full name
  std::vector<std::string> open_;                    ///< blocks being expanded
};

}  // namespace

Graph build_model(const Value& model, const std::vector<NamedInput>& inputs) { return Builder(model, inputs).build(); }

}  // namespace lockstep
