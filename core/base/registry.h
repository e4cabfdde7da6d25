#pragma once

#include <functional>
#include <map>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/options.h"
#include "core/base/text.h"

namespace lockstep {

/// The plug-ins of one interface, by name. A plug-in's one file ends in
///   `const Register<Layer> registered{{.name = "dense", .summary = "...", .make = ...}};`
/// and nothing else in the tree names it. `T::kPlugInKind` is the word for messages ("layer").
template <class T>
class Registry {
 public:
  struct Entry {
    std::string name;
    std::string summary;  ///< one line for `lockstep --help` and the documentation
    /// Reads its options (the main one under its own name) and leaves the unknown to the caller's `finish()`.
    std::function<std::unique_ptr<T>(Options&)> make;
    std::string file;  ///< set by Register: where it was registered
  };

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  void add(Entry entry) {
    const std::string name = entry.name;
    const bool fresh = entries_.emplace(name, std::move(entry)).second;
    require(fresh, "{} \"{}\" is registered twice", T::kPlugInKind, name);
  }

  const Entry* find(std::string_view name) const {
    const auto it = entries_.find(name);
    return it == entries_.end() ? nullptr : &it->second;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries_) result.push_back(name);
    return result;
  }

  /// Makes the named plug-in from its options and refuses unknown keys. `run_file` error for an unknown name. Options
  /// named like another plug-in of the kind are refused: a table's one naming key must be plain.
  std::unique_ptr<T> make(std::string_view name, Options options) const {
    const Entry* entry = find(name);
    if (!entry) fail(ErrorKind::run_file, "{}unknown {} \"{}\"{}", options.where(), T::kPlugInKind, name, hint(name, names()));
    auto made = entry->make(options);
    for (const std::string& key : options.keys_read())
      require(key == name || !find(key), "{} \"{}\" has an option \"{}\" that is named like a {}", T::kPlugInKind, name, key, T::kPlugInKind);
    options.finish();
    return made;
  }

 private:
  std::map<std::string, Entry, std::less<>> entries_;
};

template <class T>
struct Register {
  explicit Register(typename Registry<T>::Entry entry, std::source_location at = std::source_location::current()) {
    entry.file = at.file_name();
    Registry<T>::instance().add(std::move(entry));
  }
};

/// Reads the house notation for a plug-in: a string (`"relu"`), or a table in which exactly one key names a
/// registered one (`{ conv2d = 32, size = 3 }`). Returns its name; `run_file` error otherwise.
template <class T>
std::string plug_in_name(const Value& value, std::string_view where);

/// The notation above, made. A string stands for a table whose main option is `true`.
template <class T>
std::unique_ptr<T> make_plug_in(const Value& value);

template <class T>
std::string plug_in_name(const Value& value, std::string_view where) {
  const auto& registry = Registry<T>::instance();
  const auto names = registry.names();
  if (value.is_text()) {
    if (!registry.find(value.as_text()))
      fail(ErrorKind::run_file, "{}: unknown {} \"{}\"{}", where, T::kPlugInKind, value.as_text(), hint(value.as_text(), names));
    return value.as_text();
  }
  if (!value.is_table()) fail(ErrorKind::run_file, "{}: expected a name or a table for a {}, got {}", where, T::kPlugInKind, value.type_name());
  std::vector<std::string> found, keys;
  for (const auto& [key, entry] : value.as_table()) {
    keys.push_back(key);
    if (registry.find(key)) found.push_back(key);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    const std::string first = keys.empty() ? "" : keys.front();
    fail(ErrorKind::run_file, "{}: no key of {} names a known {}{}", where, value.describe(), T::kPlugInKind, hint(first, names));
  }
  fail(ErrorKind::run_file, "{}: two keys of {} name a {}: {}; expected exactly one", where, value.describe(), T::kPlugInKind, join(found));
}

template <class T>
std::unique_ptr<T> make_plug_in(const Value& value) {
  const std::string name = plug_in_name<T>(value, value.place().text());
  Value table = value;
  if (value.is_text()) {
    table = Value(Value::Data(Value::Table{}), value.place());
    table.set(name, Value::boolean(true, value.place()));
  }
  return Registry<T>::instance().make(name, Options(std::move(table), std::string(T::kPlugInKind) + " \"" + name + "\""));
}

}  // namespace lockstep
