#include "core/base/options.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep {

Options::Options(Value table, std::string what) : table_(std::move(table)), what_(std::move(what)) {
  if (!table_.is_table()) fail(ErrorKind::run_file, "{}expected a table, got {}", where(), table_.type_name());
}

std::string Options::where(std::string_view key) const {
  const Value* entry = key.empty() ? nullptr : table_.find(key);
  const std::string place = (entry ? entry->place() : table_.place()).text();
  return (place.empty() ? "" : place + ": ") + what_ + ": ";
}

const Value* Options::read(std::string_view key) {
  read_.emplace(key);
  return table_.find(key);
}

const Value* Options::take(std::string_view key) { return read(key); }

std::int64_t Options::integer(std::string_view key, std::optional<std::int64_t> fallback, IntegerRange range) {
  const Value* value = read(key);
  if (!value && fallback) return *fallback;
  if (!value) fail(ErrorKind::run_file, "{}\"{}\" is missing: expected an integer", where(), key);
  if (!value->is_integer()) fail(ErrorKind::run_file, "{}\"{}\": expected an integer, got {}", where(key), key, value->describe());
  const std::int64_t number = std::get<std::int64_t>(value->data());
  if (number < range.least) fail(ErrorKind::run_file, "{}\"{}\": expected at least {}, got {}", where(key), key, range.least, number);
  if (number > range.most) fail(ErrorKind::run_file, "{}\"{}\": expected at most {}, got {}", where(key), key, range.most, number);
  return number;
}

double Options::real(std::string_view key, std::optional<double> fallback, RealRange range) {
  const Value* value = read(key);
  if (!value && fallback) return *fallback;
  if (!value) fail(ErrorKind::run_file, "{}\"{}\" is missing: expected a number", where(), key);
  if (!value->is_number()) fail(ErrorKind::run_file, "{}\"{}\": expected a number, got {}", where(key), key, value->describe());
  const double number = value->as_real();
  if (!(number >= range.least)) fail(ErrorKind::run_file, "{}\"{}\": expected at least {}, got {}", where(key), key, range.least, number);
  if (!(number <= range.most)) fail(ErrorKind::run_file, "{}\"{}\": expected at most {}, got {}", where(key), key, range.most, number);
  return number;
}

bool Options::boolean(std::string_view key, std::optional<bool> fallback) {
  const Value* value = read(key);
  if (!value && fallback) return *fallback;
  if (!value) fail(ErrorKind::run_file, "{}\"{}\" is missing: expected true or false", where(), key);
  if (!value->is_boolean()) fail(ErrorKind::run_file, "{}\"{}\": expected true or false, got {}", where(key), key, value->describe());
  return std::get<bool>(value->data());
}

void Options::expect_true(std::string_view key) {
  if (!boolean(key, true)) fail(ErrorKind::run_file, "{}\"{}\": expected true, got false", where(key), key);
}

std::string Options::text(std::string_view key, std::optional<std::string> fallback) {
  const Value* value = read(key);
  if (!value && fallback) return *fallback;
  if (!value) fail(ErrorKind::run_file, "{}\"{}\" is missing: expected a string", where(), key);
  if (!value->is_text()) fail(ErrorKind::run_file, "{}\"{}\": expected a string, got {}", where(key), key, value->describe());
  return value->as_text();
}

std::string Options::choice(std::string_view key, const std::vector<std::string>& known, std::optional<std::string> fallback) {
  const std::string chosen = text(key, std::move(fallback));
  if (std::find(known.begin(), known.end(), chosen) == known.end())
    fail(ErrorKind::run_file, "{}\"{}\": unknown value \"{}\"; known: {}", where(key), key, chosen, join(known));
  return chosen;
}

std::vector<std::string> Options::texts(std::string_view key, std::optional<std::vector<std::string>> fallback) {
  const Value* value = read(key);
  if (!value && fallback) return *fallback;
  if (!value) fail(ErrorKind::run_file, "{}\"{}\" is missing: expected a list of strings", where(), key);
  if (value->is_text()) return {value->as_text()};
  std::vector<std::string> result;
  if (value->is_array())
    for (const Value& item : value->as_array())
      if (item.is_text()) result.push_back(item.as_text());
  if (!value->is_array() || result.size() != value->as_array().size())
    fail(ErrorKind::run_file, "{}\"{}\": expected a list of strings, got {}", where(key), key, value->describe());
  return result;
}

std::vector<double> Options::reals(std::string_view key, std::optional<std::vector<double>> fallback) {
  const Value* value = read(key);
  if (!value && fallback) return *fallback;
  if (!value) fail(ErrorKind::run_file, "{}\"{}\" is missing: expected a list of numbers", where(), key);
  std::vector<double> result;
  if (value->is_array())
    for (const Value& item : value->as_array())
      if (item.is_number()) result.push_back(item.as_real());
  if (!value->is_array() || result.size() != value->as_array().size())
    fail(ErrorKind::run_file, "{}\"{}\": expected a list of numbers, got {}", where(key), key, value->describe());
  return result;
}

std::vector<std::int64_t> Options::integers(std::string_view key, std::size_t count, std::optional<std::int64_t> fallback, IntegerRange range) {
  const Value* value = read(key);
  if (!value || value->is_integer()) return std::vector<std::int64_t>(count, integer(key, fallback, range));
  std::vector<std::int64_t> result;
  if (value->is_array())
    for (const Value& item : value->as_array())
      if (item.is_integer()) result.push_back(std::get<std::int64_t>(item.data()));
  if (!value->is_array() || result.size() != value->as_array().size() || result.size() != count)
    fail(ErrorKind::run_file, "{}\"{}\": expected an integer or a list of {}, got {}", where(key), key, count, value->describe());
  for (const std::int64_t number : result)
    if (number < range.least || number > range.most)
      fail(ErrorKind::run_file, "{}\"{}\": expected {} to {}, got {}", where(key), key, range.least, range.most, number);
  return result;
}

void Options::finish() const {
  const std::vector<std::string> known(read_.begin(), read_.end());
  for (const auto& [key, value] : table_.as_table())
    if (!read_.contains(key)) fail(ErrorKind::run_file, "{}unknown key \"{}\"{}", where(key), key, hint(key, known));
}

}  // namespace lockstep
