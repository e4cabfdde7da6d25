#include "launch/run_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/core.h>
#include <toml++/toml.h>

#include "core/base/error.h"

namespace lockstep {
namespace {

constexpr std::size_t kMostBytes = std::size_t{16} << 20;

/// Turns toml++'s nodes into values. Places of the command line carry no line.
class Converter {
 public:
  enum class Lines { counted, none };
  Converter(std::string file, Lines lines) : file_(std::move(file)), lines_(lines) {}

  Place place(const toml::source_region& source) const {
    if (lines_ == Lines::none) return {.file = file_};
    return {.file = file_, .line = static_cast<int>(source.begin.line), .column = static_cast<int>(source.begin.column)};
  }

  Value convert(const toml::node& node, Place at) const {
    if (const auto* flag = node.as_boolean()) return Value::boolean(flag->get(), std::move(at));
    if (const auto* number = node.as_integer()) return Value::integer(number->get(), std::move(at));
    if (const auto* number = node.as_floating_point()) return Value::real(number->get(), std::move(at));
    if (const auto* text = node.as_string()) return Value::text(text->get(), std::move(at));
    if (const auto* array = node.as_array()) {
      Value::Array items;
      for (const toml::node& item : *array) items.push_back(convert(item, place(item.source())));
      return Value(Value::Data(std::move(items)), std::move(at));
    }
    const auto* table = node.as_table();
    if (!table) fail(ErrorKind::run_file, "{}: dates and times are not used in run files: write them as a string", at.text());
    Value result(Value::Data(Value::Table{}), std::move(at));
    for (auto&& [key, item] : *table) result.set(key.str(), convert(item, place(key.source())));
    return result;
  }

 private:
  std::string file_;
  Lines lines_;
};

/// Says in plain words what TOML 1.0 forbids inside an inline table, which users trip over most.
std::string explain(std::string_view description) {
  const auto says = [&](std::string_view words) { return description.find(words) != std::string_view::npos; };
  if (says("inline table") && says("dangling comma"))
    return "an inline table { ... } takes no comma before its \"}\" (TOML 1.0): remove the comma";
  if (says("inline table") && (says("saw '\\n'") || says("saw '\\r'") || says("saw '#'")))
    return "an inline table { ... } takes no line break (TOML 1.0): write it on one line, or use a [section]";
  return std::string(description);
}

}  // namespace

Value parse_run_text(std::string_view text, const std::string& name) {
  const Converter converter(name, Converter::Lines::counted);
  try {
    const toml::table table = toml::parse(text, std::string_view(name));
    return converter.convert(table, {.file = name, .line = 1, .column = 1});
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::run_file, "{}: {}", converter.place(error.source()).text(), explain(error.description()));
  }
}

Value read_run_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::run_file, "run file \"{}\": cannot be opened: {}", path, std::strerror(errno));
  std::string text;
  for (char block[65536]; file.read(block, sizeof block) || file.gcount() > 0;) {
    text.append(block, static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMostBytes) fail(ErrorKind::run_file, "run file \"{}\": expected at most {} bytes", path, kMostBytes);
  }
  if (file.bad()) fail(ErrorKind::run_file, "run file \"{}\": cannot be read: {}", path, std::strerror(errno));
  return parse_run_text(text, path);
}

std::optional<Value> parse_run_value(std::string_view text) {
  const std::string line = fmt::format("v = {}", text);
  try {
    const toml::table table = toml::parse(std::string_view(line));
    const toml::node* node = table.get("v");
    if (table.size() != 1 || node->is_date() || node->is_time() || node->is_date_time()) return {};
    return Converter("command line", Converter::Lines::none).convert(*node, {.file = "command line"});
  } catch (const toml::parse_error&) {
    return {};
  }
}

}  // namespace lockstep
