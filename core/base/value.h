#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lockstep {

/// Where a value stood: `run.toml:12:3`, or `command line`.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
  std::string text() const;
};

/// A tree of options as read from a run file, free of the reader's types. Tables are sorted by name.
class Value {
 public:
  using Array = std::vector<Value>;
  using Table = std::vector<std::pair<std::string, Value>>;
  using Data = std::variant<bool, std::int64_t, double, std::string, Array, Table>;

  Value() : data_(Table{}) {}
  explicit Value(Data data, Place place = {}) : data_(std::move(data)), place_(std::move(place)) {}
  static Value text(std::string_view text, Place place = {}) { return Value(Data(std::string(text)), std::move(place)); }
  static Value integer(std::int64_t number, Place place = {}) { return Value(Data(number), std::move(place)); }
  static Value real(double number, Place place = {}) { return Value(Data(number), std::move(place)); }
  static Value boolean(bool flag, Place place = {}) { return Value(Data(flag), std::move(place)); }

  const Data& data() const { return data_; }
  const Place& place() const { return place_; }

  bool is_boolean() const { return std::holds_alternative<bool>(data_); }
  bool is_integer() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_number() const { return is_integer() || std::holds_alternative<double>(data_); }
  bool is_text() const { return std::holds_alternative<std::string>(data_); }
  bool is_array() const { return std::holds_alternative<Array>(data_); }
  bool is_table() const { return std::holds_alternative<Table>(data_); }

  /// Unchecked by type: call after the matching `is_`.
  const std::string& as_text() const { return std::get<std::string>(data_); }
  const Array& as_array() const { return std::get<Array>(data_); }
  Array& as_array() { return std::get<Array>(data_); }
  const Table& as_table() const { return std::get<Table>(data_); }
  double as_real() const;

  /// The entry of a table, or nullptr (also when this is no table).
  const Value* find(std::string_view key) const;
  /// Sets an entry of a table, keeping the order.
  void set(std::string_view key, Value value);
  void erase(std::string_view key);

  /// `table`, `integer`, ... for messages.
  std::string_view type_name() const;
  /// TOML notation, on one line, for messages and for stable names.
  std::string describe() const;

 private:
  Data data_;
  Place place_;
};

}  // namespace lockstep
