#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "distributed/communicator.h"
#include "launch/arguments.h"

namespace lockstep {

/// What a subcommand runs in.
struct CommandContext {
  std::ostream& out;  ///< results and tables
  std::ostream& err;  ///< notes and warnings
  /// All ranks of the job. A command that opens it leaves it here, so that it outlives the command: when the command
  /// throws, `run_program` names this rank and takes the others along.
  std::unique_ptr<Communicator> world = nullptr;
};

/// A subcommand. Its one file in `launch/commands/` ends in `const RegisterCommand registered({.name = ...});`.
struct Command {
  std::string name;                 ///< one word, or two: "bench step" (its file is bench_step.cpp)
  std::string summary;              ///< one line, no full stop
  std::string usage;                ///< what follows `lockstep NAME`: `RUN_FILE [KEY=VALUE ...]`
  std::string help;                 ///< examples first, then what is worth knowing; lines of at most 100 columns
  std::vector<OptionSpec> options;  ///< `--help` is always there
  /// Returns the exit code of the program; throws Error.
  std::function<int(const Arguments&, CommandContext&)> run;
  std::string file = {};  ///< set by RegisterCommand: where it was registered
};

/// All subcommands, by name.
class Commands {
 public:
  static Commands& instance();

  void add(Command command);
  /// nullptr where there is none.
  const Command* find(std::string_view name) const;
  std::vector<std::string> names() const;
  const std::map<std::string, Command, std::less<>>& all() const { return commands_; }

 private:
  std::map<std::string, Command, std::less<>> commands_;
};

struct RegisterCommand {
  explicit RegisterCommand(Command command, std::source_location at = std::source_location::current());
};

/// The help of one subcommand.
std::string describe_command(const Command& command);
/// The program's help: all of it, or the short form.
enum class HelpLength { brief, full };
std::string describe_program(HelpLength length);

}  // namespace lockstep
