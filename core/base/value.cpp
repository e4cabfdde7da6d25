#include "core/base/value.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"

namespace lockstep {
namespace {

auto position(Value::Table& table, std::string_view key) {
  return std::lower_bound(table.begin(), table.end(), key, [](const auto& entry, std::string_view k) { return entry.first < k; });
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

/// TOML's bare keys are letters, digits, dashes and underscores; others are quoted.
std::string key_text(const std::string& key) {
  static constexpr std::string_view kBare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  return key.empty() || key.find_first_not_of(kBare) != std::string::npos ? quoted(key) : key;
}

std::string real_text(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

std::string Place::text() const {
  if (line <= 0) return file;
  return fmt::format("{}:{}:{}", file, line, column);
}

double Value::as_real() const { return is_integer() ? static_cast<double>(std::get<std::int64_t>(data_)) : std::get<double>(data_); }

const Value* Value::find(std::string_view key) const {
  if (!is_table()) return nullptr;
  for (const auto& [name, value] : as_table())
    if (name == key) return &value;
  return nullptr;
}

void Value::set(std::string_view key, Value value) {
  require(is_table(), "set on a value that is no table");
  auto& table = std::get<Table>(data_);
  const auto it = position(table, key);
  if (it != table.end() && it->first == key)
    it->second = std::move(value);
  else
    table.insert(it, {std::string(key), std::move(value)});
}

void Value::erase(std::string_view key) {
  require(is_table(), "erase on a value that is no table");
  std::erase_if(std::get<Table>(data_), [&](const auto& entry) { return entry.first == key; });
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"boolean", "integer", "number", "string", "list", "table"};
  return kNames[data_.index()];
}

std::string Value::describe() const {
  if (is_boolean()) return std::get<bool>(data_) ? "true" : "false";
  if (is_integer()) return std::to_string(std::get<std::int64_t>(data_));
  if (is_number()) return real_text(as_real());
  if (is_text()) return quoted(as_text());
  std::string result = is_array() ? "[" : "{";
  const char* separator = is_array() ? "" : " ";
  if (is_array()) {
    for (const Value& item : as_array()) {
      result += separator + item.describe();
      separator = ", ";
    }
    return result + "]";
  }
  for (const auto& [key, value] : as_table()) {
    result += separator + key_text(key) + " = " + value.describe();
    separator = ", ";
  }
  return result + " }";
}

}  // namespace lockstep
