#include "launch/program.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <new>
#include <ostream>
#include <thread>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "distributed/world.h"
#include "launch/command.h"
#include "launch/version.h"

namespace lockstep {
namespace {

/// The command that the first argument names, or the first two: "bench step".
const Command& find_command(std::span<const std::string> arguments) {
  const Commands& commands = Commands::instance();
  const std::string& name = arguments[0];
  if (const Command* command = commands.find(name)) return *command;
  const std::string verb = arguments.size() > 1 ? arguments[1] : "";
  if (const Command* command = commands.find(name + " " + verb)) return *command;
  std::vector<std::string> known = commands.names(), verbs;
  for (const std::string& full : known)
    if (full.starts_with(name + " ")) verbs.push_back(full.substr(name.size() + 1));
  if (!verbs.empty())
    fail(ErrorKind::usage, "{}: expected what to do, got \"{}\"; known: {}; see \"lockstep help {} {}\"", name, verb, join(verbs), name, verbs.front());
  known.push_back("help");
  fail(ErrorKind::usage, "unknown command \"{}\"{}; see \"lockstep --help\"", name, hint(name, known));
}

/// What follows the words of its name.
std::span<const std::string> after_name(const Command& command, std::span<const std::string> arguments) {
  return arguments.subspan(command.name.find(' ') == std::string::npos ? 1 : 2);
}

bool asks_help(std::span<const std::string> arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

int choose(std::span<const std::string> arguments, CommandContext& context) {
  if (arguments.empty() || arguments[0] == "-h") {
    context.out << describe_program(HelpLength::brief);
    return 0;
  }
  const std::string& first = arguments[0];
  const auto rest = arguments.subspan(1);
  if (first == "--help" || (first == "help" && rest.empty())) {
    context.out << describe_program(HelpLength::full);
    return 0;
  }
  if (first == "--version") {
    context.out << describe_version();
    return 0;
  }
  if (first == "help") {
    context.out << describe_command(find_command(rest));
    return 0;
  }
  const Command& command = find_command(arguments);
  if (asks_help(rest)) {
    context.out << describe_command(command);
    return 0;
  }
  return command.run(Arguments(command.name, command.options, after_name(command, arguments)), context);
}

/// This process' number in its job; also where it failed before it met the others.
int rank_in_job(const CommandContext& context) {
  if (context.world) return context.world->rank();
  return rank_by_launcher([](const char* name) -> const char* { return std::getenv(name); });
}

/// Most errors are every rank's, and one line says enough: rank 0 speaks first and ends the job. A rank that is still
/// there after a while has an error of its own. The end reaches the others as SIGTERM, which Open MPI sends a second
/// after SIGCONT.
void let_rank_0_speak(const CommandContext& context) {
  if (rank_in_job(context) == 0) return;
  std::signal(SIGTERM, SIG_DFL);
  std::this_thread::sleep_for(std::chrono::seconds(2));
}

int report(CommandContext& context, int code, const std::string& message) {
  const bool several = context.world && context.world->size() > 1;
  const std::string rank = several ? fmt::format("[rank {}] ", context.world->rank()) : "";
  context.out.flush();
  let_rank_0_speak(context);
  context.err << fmt::format("{}lockstep: {}\n", rank, message) << std::flush;
  if (several) context.world->abort(code);
  return code;
}

}  // namespace

int run_program(std::span<const std::string> arguments, std::ostream& out, std::ostream& err) {
  CommandContext context{out, err};
  try {
    const int code = choose(arguments, context);
    out.flush();
    if (!out) return report(context, static_cast<int>(ErrorKind::io), "standard output: cannot write");
    return code;
  } catch (const Error& error) {
    return report(context, static_cast<int>(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return report(context, static_cast<int>(ErrorKind::internal), "out of memory");
  } catch (const std::exception& error) {
    return report(context, static_cast<int>(ErrorKind::internal), error.what());
  }
}

}  // namespace lockstep
