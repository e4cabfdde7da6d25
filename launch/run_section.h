#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/options.h"
#include "core/base/text.h"
#include "launch/run_config.h"

namespace lockstep {

/// Reads one section of a run file and notes every value, given or default, in `resolved`.
class Section {
 public:
  Section(const Value& table, const std::string& what) : options_(table, what), resolved_(table) {}

  const Value& resolved() const { return resolved_; }
  /// Notes a default: an entry that is there stays.
  void resolve(std::string_view key, Value value) {
    if (!resolved_.find(key)) resolved_.set(key, std::move(value));
  }
  /// Notes a value in place of the entry.
  void replace(std::string_view key, Value value) { resolved_.set(key, std::move(value)); }

  std::int64_t integer(std::string_view key, std::int64_t fallback, IntegerRange range) {
    resolve(key, Value::integer(fallback));
    return options_.integer(key, fallback, range);
  }
  double real(std::string_view key, double fallback, RealRange range) {
    resolve(key, Value::real(fallback));
    return options_.real(key, fallback, range);
  }
  bool boolean(std::string_view key, bool fallback) {
    resolve(key, Value::boolean(fallback));
    return options_.boolean(key, fallback);
  }
  std::string text(std::string_view key, const std::string& fallback) {
    resolve(key, Value::text(fallback));
    return options_.text(key, fallback);
  }
  std::string choice(std::string_view key, const std::vector<std::string>& known, const std::string& fallback) {
    resolve(key, Value::text(fallback));
    return options_.choice(key, known, fallback);
  }
  /// The entry, or nullptr where it is absent or the text "none".
  const Value* optional(std::string_view key) {
    resolve(key, Value::text("none"));
    const Value* value = options_.take(key);
    return value && value->is_text() && value->as_text() == "none" ? nullptr : value;
  }
  const Value& required(std::string_view key, std::string_view example) {
    const Value* value = options_.take(key);
    if (!value) fail(ErrorKind::run_file, "{}\"{}\" is missing: expected something like {} = {}{}", where(), key, key, example, look_alike(key));
    return *value;
  }
  /// A table within the section; an absent one is empty.
  Value table(std::string_view key) {
    const Value* value = options_.take(key);
    return value ? *value : Value(Value::Data(Value::Table{}), options_.table().place());
  }

  bool has(std::string_view key) const { return options_.has(key); }
  const Value* take(std::string_view key) { return options_.take(key); }
  std::string where(std::string_view key = {}) const { return options_.where(key); }
  void finish() const { options_.finish(); }

 private:
  /// The entry that a missing one may have been meant by: `; is "epoch" (run.toml:13:1) meant?`
  std::string look_alike(std::string_view key) const {
    std::vector<std::string> entries;
    for (const auto& [name, value] : options_.table().as_table()) entries.push_back(name);
    const auto near = nearest_names(key, entries, 1);
    return near.empty() ? "" : fmt::format("; is \"{}\" ({}) meant?", near[0], options_.table().find(near[0])->place().text());
  }

  Options options_;
  Value resolved_;
};

/// Most steps, epochs or samples that a run file may ask for.
inline constexpr std::int64_t kMostCount = std::int64_t{1} << 40;

/// `[train]`. Reads what it needs of `data` (batch, classes, validation set), and fills `in`.
TrainOptions read_train(Section& in, const DataOptions& data);

/// A metric to watch, such as "validation.loss": checks that its set is there and that it is computed.
std::string check_monitor(const std::string& name, const std::string& where, const DataOptions& data, const std::vector<Value>& metrics);

}  // namespace lockstep
