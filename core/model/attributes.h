#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.h"

namespace lockstep {

/// Constants of an operation: strides, an epsilon, a rate. Part of the plan, so they can be printed and compared.
class Attributes {
 public:
  using Item = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>>;

  Attributes() = default;
  Attributes(std::initializer_list<std::pair<const std::string, Item>> items) : items_(items) {}

  void set(const std::string& name, Item item) { items_[name] = std::move(item); }
  bool has(std::string_view name) const { return items_.find(name) != items_.end(); }
  std::int64_t integer(std::string_view name) const { return get<std::int64_t>(name); }
  double real(std::string_view name) const { return get<double>(name); }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  const std::vector<std::int64_t>& integers(std::string_view name) const { return get<std::vector<std::int64_t>>(name); }
  const std::map<std::string, Item, std::less<>>& items() const { return items_; }

 private:
  template <class T>
  const T& get(std::string_view name) const {
    const auto it = items_.find(name);
    require(it != items_.end(), "no attribute \"{}\"", name);
    require(std::holds_alternative<T>(it->second), "attribute \"{}\" has another type", name);
    return std::get<T>(it->second);
  }

  std::map<std::string, Item, std::less<>> items_;
};

}  // namespace lockstep
