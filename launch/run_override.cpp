#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

using Path = std::vector<std::string>;
using Names = std::vector<std::string>;

const Place kCommandLine{.file = "command line"};

/// `a."b.c".d` -> a, b.c, d; ends at the first `=` outside quotes.
Path split_path(std::string_view text, std::size_t& end) {
  Path path(1);
  bool quoted = false;
  for (end = 0; end < text.size() && (quoted || text[end] != '='); ++end) {
    if (text[end] == '"')
      quoted = !quoted;
    else if (text[end] == '.' && !quoted)
      path.emplace_back();
    else
      path.back() += text[end];
  }
  return path;
}

std::string joined(const Path& path, std::size_t count) { return join(std::span(path).first(count), "."); }

/// Collects the names of layers below a value.
void layer_names(const Value& value, Names& names) {
  if (value.is_array())
    for (const Value& item : value.as_array()) layer_names(item, names);
  if (!value.is_table()) return;
  if (const Value* name = value.find("name"); name && name->is_text()) names.push_back(name->as_text());
  for (const auto& [key, item] : value.as_table())
    if (item.is_array() || item.is_table()) layer_names(item, names);
}

Value with(const Value& node, const Path& path, std::size_t at, const Value& value);

/// `value` set in the layer called path[at], which stands somewhere below `node`.
Value with_layer(const Value& node, const Path& path, std::size_t at, const Value& value) {
  if (node.is_array()) {
    Value::Array items;
    for (const Value& item : node.as_array()) items.push_back(with_layer(item, path, at, value));
    return Value(Value::Data(std::move(items)), node.place());
  }
  if (!node.is_table()) return node;
  const Value* name = node.find("name");
  if (name && name->is_text() && name->as_text() == path[at]) return with(node, path, at + 1, value);
  Value result = node;
  for (const auto& [key, item] : node.as_table())
    if (item.is_array() || item.is_table()) result.set(key, with_layer(item, path, at, value));
  return result;
}

Value with_named_layer(const Value& model, const Path& path, const Value& value) {
  Names names;
  layer_names(model, names);
  const auto count = std::count(names.begin(), names.end(), path[1]);
  if (count == 0)
    fail(ErrorKind::run_file, "command line: \"{}\": [model] has no such key, and no layer is named \"{}\"{}", joined(path, path.size()),
         path[1], hint(path[1], names));
  if (count > 1)
    fail(ErrorKind::run_file, "command line: \"{}\": {} layers are named \"{}\": expected one", joined(path, path.size()), count, path[1]);
  return with_layer(model, path, 1, value);
}

Value with(const Value& node, const Path& path, std::size_t at, const Value& value) {
  if (at == path.size()) return value;
  Value table = node;
  if (node.is_text() && path.front() == "train") {
    table = Value(Value::Data(Value::Table{}), node.place());
    table.set(node.as_text(), Value::boolean(true, node.place()));
  }
  if (!table.is_table())
    fail(ErrorKind::run_file, "command line: \"{}\": \"{}\" is {}, not a table", joined(path, path.size()), joined(path, at),
         node.describe());
  const Value* child = table.find(path[at]);
  if (!child && at == 1 && path.front() == "model" && path.size() > 2 && path[1] != "defaults" && path[1] != "blocks")
    return with_named_layer(table, path, value);
  table.set(path[at], with(child ? *child : Value(Value::Data(Value::Table{}), kCommandLine), path, at + 1, value));
  return table;
}

}  // namespace

void apply_override(Value& root, std::string_view override_text) {
  std::size_t end = 0;
  const Path path = split_path(override_text, end);
  const bool empty_part = std::find(path.begin(), path.end(), "") != path.end();
  if (end == override_text.size() || empty_part)
    throw Error(ErrorKind::usage, "command line: override \"" + std::string(override_text) + "\": expected section.key=value");
  const std::string_view text = override_text.substr(end + 1);
  root = with(root, path, 0, parse_run_value(text).value_or(Value::text(text, kCommandLine)));
}

}  // namespace lockstep
