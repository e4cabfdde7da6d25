#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

/// An option of a subcommand: `--name`, or `--name VALUE` where `value_name` is given.
struct OptionSpec {
  std::string name;
  std::string value_name;  ///< empty for a switch
  std::string help;        ///< one or more lines
};

/// The arguments after a subcommand's name. `--name=value` and `--name value` are the same, `--` ends the options, and
/// an option that is given twice is an error. `usage` errors start with the command's name.
class Arguments {
 public:
  Arguments(std::string command, std::span<const OptionSpec> options, std::span<const std::string> arguments);

  /// What is no option, in order: files, directories, `key=value` overrides.
  const std::vector<std::string>& positional() const { return positional_; }
  /// Exactly one positional argument, called `what` in the message.
  const std::string& only(std::string_view what) const;

  bool has(std::string_view option) const;
  std::optional<std::string> value(std::string_view option) const;
  std::string value(std::string_view option, std::string_view fallback) const;
  /// A whole number in a range.
  std::int64_t integer(std::string_view option, std::int64_t fallback, std::int64_t least, std::int64_t most) const;
  double real(std::string_view option, double fallback, double least, double most) const;
  /// One of `known`.
  std::string choice(std::string_view option, std::span<const std::string> known, std::string_view fallback) const;

  const std::string& command() const { return command_; }

 private:
  std::string command_;
  std::vector<std::pair<std::string, std::string>> given_;
  std::vector<std::string> positional_;
};

}  // namespace lockstep
