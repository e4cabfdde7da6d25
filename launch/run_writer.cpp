#include <algorithm>
#include <array>

#include "launch/run_file.h"

namespace lockstep {
namespace {

constexpr std::size_t kWidth = 120;
constexpr std::array<std::string_view, 6> kOrder = {"run", "checkpoint", "data", "train", "evaluate", "model"};

/// `key = value` by way of a table's notation, which quotes the key where TOML asks for it.
std::string entry(const std::string& key, const Value& value) {
  Value table;
  table.set(key, value);
  const std::string text = table.describe();
  return text.substr(2, text.size() - 4);
}

std::string key_text(const std::string& key) {
  const std::string text = entry(key, Value::integer(0));
  return text.substr(0, text.size() - 4);
}

void write_entry(std::string& out, const std::string& key, const Value& value) {
  const std::string line = entry(key, value);
  if (line.size() <= kWidth || !value.is_array()) {
    out += line + "\n";
    return;
  }
  out += key_text(key) + " = [\n";
  for (const Value& item : value.as_array()) out += "  " + item.describe() + ",\n";
  out += "]\n";
}

/// A table goes into a section of its own where its line would be long, or where users write it so.
bool is_section(const std::string& path, const std::string& key, const Value& value) {
  if (!value.is_table() || value.as_table().empty()) return false;
  return path.empty() || path == "model" || path == "model.blocks" || entry(key, value).size() > kWidth;
}

void write_table(std::string& out, const std::string& path, const Value& table) {
  for (const auto& [key, value] : table.as_table())
    if (!is_section(path, key, value)) write_entry(out, key, value);
  std::vector<const std::pair<std::string, Value>*> sections;
  for (const auto& item : table.as_table())
    if (is_section(path, item.first, item.second)) sections.push_back(&item);
  const auto rank = [](const auto* item) { return std::find(kOrder.begin(), kOrder.end(), item->first) - kOrder.begin(); };
  if (path.empty()) std::stable_sort(sections.begin(), sections.end(), [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  for (const auto* item : sections) {
    const std::string inner = path.empty() ? key_text(item->first) : path + "." + key_text(item->first);
    out += (out.empty() ? "[" : "\n[") + inner + "]\n";
    write_table(out, inner, item->second);
  }
}

}  // namespace

std::string write_run_text(const Value& root) {
  std::string out;
  write_table(out, "", root);
  return out;
}

}  // namespace lockstep
