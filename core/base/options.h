#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace lockstep {

struct IntegerRange {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};
struct RealRange {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
};

/// Reads one table of options: checks type and range, remembers which keys were read. A missing key without a
/// fallback, a wrong type and a value out of range are `run_file` errors that name file, line and column.
/// Holds a copy of the table, so it may outlive the source.
class Options {
 public:
  /// `what` names the owner in messages, such as `conv2d "stem"` or `[train]`.
  Options(Value table, std::string what);

  std::int64_t integer(std::string_view key, std::optional<std::int64_t> fallback = {}, IntegerRange range = {});
  double real(std::string_view key, std::optional<double> fallback = {}, RealRange range = {});
  bool boolean(std::string_view key, std::optional<bool> fallback = {});
  std::string text(std::string_view key, std::optional<std::string> fallback = {});
  /// One of `known`.
  std::string choice(std::string_view key, const std::vector<std::string>& known, std::optional<std::string> fallback = {});
  /// A string serves for a list of one.
  std::vector<std::string> texts(std::string_view key, std::optional<std::vector<std::string>> fallback = {});
  std::vector<double> reals(std::string_view key, std::optional<std::vector<double>> fallback = {});
  /// An integer, or a list of `count` integers; one integer stands for all.
  std::vector<std::int64_t> integers(std::string_view key, std::size_t count, std::optional<std::int64_t> fallback = {}, IntegerRange range = {});
  /// The main option of a plug-in that has none: `true`, as a bare name gives it.
  void expect_true(std::string_view key);
  /// The raw entry, marked as read, or nullptr.
  const Value* take(std::string_view key);
  bool has(std::string_view key) const { return table_.find(key) != nullptr; }

  /// Refuses every key that was not read, with the nearest names of those that were.
  void finish() const;

  /// The keys that were asked for so far, whether present or not.
  const std::set<std::string, std::less<>>& keys_read() const { return read_; }

  const std::string& what() const { return what_; }
  const Value& table() const { return table_; }
  /// `file:line:column: what: ` for the key, or for the table where the key is absent.
  std::string where(std::string_view key = {}) const;

 private:
  const Value* read(std::string_view key);

  Value table_;
  std::string what_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace lockstep
