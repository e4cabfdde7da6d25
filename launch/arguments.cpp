#include "launch/arguments.h"

#include <cctype>
#include <charconv>

#include <boost/program_options.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

std::string strip_dashes(std::string name) {
  name.erase(0, name.find_first_not_of('-'));
  return name;
}

[[noreturn]] void fail_unknown(const std::string& command, const std::string& option, std::span<const OptionSpec> options) {
  std::vector<std::string> known;
  for (const OptionSpec& spec : options) known.push_back("--" + spec.name);
  const std::string name = "--" + strip_dashes(option.substr(0, option.find('=')));
  fail(ErrorKind::usage, "{}: unknown option \"{}\"{}; see \"lockstep help {}\"", command, name, hint(name, known), command);
}

}  // namespace

Arguments::Arguments(std::string command, std::span<const OptionSpec> options, std::span<const std::string> arguments)
    : command_(std::move(command)) {
  po::options_description described;
  for (const OptionSpec& spec : options) {
    if (spec.value_name.empty())
      described.add_options()(spec.name.c_str(), spec.help.c_str());
    else
      described.add_options()(spec.name.c_str(), po::value<std::string>(), spec.help.c_str());
  }
  po::positional_options_description rest;
  rest.add("positional", -1);
  described.add_options()("positional", po::value<std::vector<std::string>>());
  try {
    using namespace po::command_line_style;
    const auto style = allow_long | long_allow_adjacent | long_allow_next;
    const auto parsed = po::command_line_parser(std::vector<std::string>(arguments.begin(), arguments.end()))
                            .options(described)
                            .positional(rest)
                            .style(style)
                            .run();
    for (const auto& option : parsed.options) {
      if (option.string_key == "positional") {
        positional_.insert(positional_.end(), option.value.begin(), option.value.end());
        continue;
      }
      if (has(option.string_key)) fail(ErrorKind::usage, "{}: option \"--{}\" is given twice", command_, option.string_key);
      given_.emplace_back(option.string_key, option.value.empty() ? std::string() : option.value.front());
    }
  } catch (const po::unknown_option& error) {
    fail_unknown(command_, error.get_option_name(), options);
  } catch (const po::error& error) {
    fail(ErrorKind::usage, "{}: {}; see \"lockstep help {}\"", command_, error.what(), command_);
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument.size() > 1 && argument[0] == '-' && std::isalpha(static_cast<unsigned char>(argument[1])))
      fail_unknown(command_, argument, options);
  }
}

const std::string& Arguments::only(std::string_view what) const {
  if (positional_.size() != 1)
    fail(ErrorKind::usage, "{}: expected one {}, got {} arguments; see \"lockstep help {}\"", command_, what, positional_.size(), command_);
  return positional_.front();
}

bool Arguments::has(std::string_view option) const {
  for (const auto& [name, value] : given_)
    if (name == option) return true;
  return false;
}

std::optional<std::string> Arguments::value(std::string_view option) const {
  for (const auto& [name, value] : given_)
    if (name == option) return value;
  return {};
}

std::string Arguments::value(std::string_view option, std::string_view fallback) const {
  return value(option).value_or(std::string(fallback));
}

std::int64_t Arguments::integer(std::string_view option, std::int64_t fallback, std::int64_t least, std::int64_t most) const {
  const auto text = value(option);
  if (!text) return fallback;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || number < least || number > most)
    fail(ErrorKind::usage, "{}: --{}: expected a whole number from {} to {}, got \"{}\"", command_, option, least, most, *text);
  return number;
}

double Arguments::real(std::string_view option, double fallback, double least, double most) const {
  const auto text = value(option);
  if (!text) return fallback;
  double number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || !(number >= least && number <= most))
    fail(ErrorKind::usage, "{}: --{}: expected a number from {} to {}, got \"{}\"", command_, option, least, most, *text);
  return number;
}

std::string Arguments::choice(std::string_view option, std::span<const std::string> known, std::string_view fallback) const {
  const std::string text = value(option, fallback);
  for (const std::string& name : known)
    if (name == text) return text;
  fail(ErrorKind::usage, "{}: --{}: unknown value \"{}\"; known: {}", command_, option, text, join(known));
}

}  // namespace lockstep
