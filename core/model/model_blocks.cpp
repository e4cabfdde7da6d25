#include "core/model/model_blocks.h"

#include <charconv>
#include <optional>

#include "core/base/error.h"
#include "core/base/options.h"
#include "core/base/text.h"
#include "core/model/layer.h"

namespace lockstep {
namespace {

bool is_required(const Value& value) { return value.is_text() && value.as_text() == "required"; }

std::vector<std::string> keys_of(const Value& table) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : table.as_table()) keys.push_back(key);
  return keys;
}

/// `name`, `name*4` or `name/2` behind the dollar sign.
struct Reference {
  std::string name;
  char operation = 0;
  std::int64_t number = 1;
};

Reference parse_reference(const Value& value) {
  const std::string_view text = std::string_view(value.as_text()).substr(1);
  const std::size_t sign = text.find_first_of("*/");
  Reference result{.name = std::string(text.substr(0, sign))};
  if (sign == std::string_view::npos) return result;
  result.operation = text[sign];
  const std::string_view digits = text.substr(sign + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result.number);
  if (error != std::errc() || end != digits.data() + digits.size() || result.number < 1)
    fail(ErrorKind::run_file, "{}: {}: expected \"$option\", \"$option*integer\" or \"$option/integer\"", value.place().text(),
         value.describe());
  return result;
}

Value replaced(const Value& value, const Value& options) {
  const Reference reference = parse_reference(value);
  const Value* option = options.find(reference.name);
  const auto known = keys_of(options);
  if (!option)
    fail(ErrorKind::run_file, "{}: the block has no option \"{}\"{}", value.place().text(), reference.name, hint(reference.name, known));
  if (!reference.operation) return Value(option->data(), value.place());
  if (!option->is_integer())
    fail(ErrorKind::run_file, "{}: {}: expected an integer option, got {}", value.place().text(), value.describe(), option->describe());
  const std::int64_t number = std::get<std::int64_t>(option->data());
  std::int64_t product = 0;
  if (reference.operation == '*') {
    if (__builtin_mul_overflow(number, reference.number, &product))
      fail(ErrorKind::run_file, "{}: {}: too large where the option is {}", value.place().text(), value.describe(), number);
    return Value::integer(product, value.place());
  }
  if (number % reference.number != 0)
    fail(ErrorKind::run_file, "{}: {}: the option is {}, which {} does not divide", value.place().text(), value.describe(), number,
         reference.number);
  return Value::integer(number / reference.number, value.place());
}

Value substitute(const Value& value, const Value& options) {
  if (value.is_text()) return value.as_text().size() > 1 && value.as_text().front() == '$' ? replaced(value, options) : value;
  if (value.is_array()) {
    Value::Array items;
    for (const Value& item : value.as_array()) items.push_back(substitute(item, options));
    return Value(Value::Data(std::move(items)), value.place());
  }
  if (!value.is_table()) return value;
  Value result = value;
  for (const auto& [key, item] : value.as_table()) result.set(key, substitute(item, options));
  return result;
}

}  // namespace

ModelBlocks::Block ModelBlocks::read_block(const std::string& name, const Value& table) {
  Options reader(table, "block \"" + name + "\"");
  if (Registry<Layer>::instance().find(name) || name == "residual")
    fail(ErrorKind::run_file, "{}the name is that of a layer; give the block another", reader.where());
  Block block;
  if (const Value* options = reader.take("options")) block.options = *options;
  if (!block.options.is_table())
    fail(ErrorKind::run_file, "{}expected a table of options and their defaults, got {}", reader.where("options"),
         block.options.describe());
  const Value* layers = reader.take("layers");
  if (!layers || !layers->is_array() || layers->as_array().empty())
    fail(ErrorKind::run_file, "{}expected \"layers\", a list of layers", reader.where("layers"));
  block.layers = *layers;
  std::vector<std::string> required;
  for (const auto& [key, value] : block.options.as_table()) {
    if (key == name || key == "name" || key == "from" || key == "share" || key == "residual" || Registry<Layer>::instance().find(key))
      fail(ErrorKind::run_file, "{}: block \"{}\": the option \"{}\" is named like a layer or a word of the builder; call it otherwise",
           value.place().text(), name, key);
    if (is_required(value)) required.push_back(key);
  }
  block.main = reader.text("main", required.size() == 1 ? required.front() : "");
  const auto known = keys_of(block.options);
  if (!block.main.empty() && !block.options.find(block.main))
    fail(ErrorKind::run_file, "{}\"main\": the block has no option \"{}\"{}", reader.where("main"), block.main, hint(block.main, known));
  if (block.main.empty() && required.size() > 1)
    fail(ErrorKind::run_file, "{}expected \"main\", the option that \"{} = ...\" sets: one of {}", reader.where(), name, join(required));
  reader.finish();
  return block;
}

ModelBlocks::ModelBlocks(const Value* blocks) {
  if (!blocks) return;
  if (!blocks->is_table())
    fail(ErrorKind::run_file, "{}: [model] \"blocks\": expected a table, got {}", blocks->place().text(), blocks->describe());
  for (const auto& [name, table] : blocks->as_table()) blocks_.emplace(name, read_block(name, table));
}

std::vector<std::string> ModelBlocks::names() const {
  std::vector<std::string> result;
  for (const auto& [name, block] : blocks_) result.push_back(name);
  return result;
}

Value ModelBlocks::expand(const std::string& name, const Value& use) const {
  const Block& block = blocks_.find(name)->second;
  Options reader(use, "block \"" + name + "\"");
  const Value* main = reader.take(name);
  const bool main_given = main && !(main->is_boolean() && std::get<bool>(main->data()));
  if (main_given && block.main.empty())
    fail(ErrorKind::run_file, "{}no option is required, so none takes the main value {}; write \"{}\"", reader.where(name),
         main->describe(), name);
  Value options = block.options;
  for (const auto& [key, value] : block.options.as_table()) {
    const Value* given = reader.take(key);
    if (key == block.main && main_given) {
      if (given) fail(ErrorKind::run_file, "{}\"{}\" is given twice: as the main value, and by name", reader.where(key), key);
      given = main;
    }
    if (given)
      options.set(key, *given);
    else if (is_required(value))
      fail(ErrorKind::run_file, "{}option \"{}\" is missing", reader.where(), key);
  }
  reader.finish();
  return substitute(block.layers, options);
}

}  // namespace lockstep
