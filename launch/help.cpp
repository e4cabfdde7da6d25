#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "launch/command.h"

namespace lockstep {
namespace {

constexpr std::string_view kBrief =
    R"(lockstep trains neural networks data-parallel. The number of ranks changes the time, and nothing else.

  lockstep train run.toml                      train on this machine
  mpirun -np 4 lockstep train run.toml         the same result on four ranks
  lockstep resume runs/first                   go on after a stop, on any number of ranks
)";

constexpr std::string_view kExitCodes = R"(
Exit codes:
   0  done
  64  the command line is wrong, or the run directory is in use
  65  bad content of a data file or a checkpoint
  70  an internal error, or a run that diverged
  74  the file system or the network said no
  75  stopped on request with the state saved: start the same line again ("resume")
  78  the run file, or the model that it describes, is wrong
Only 75 (and a killed job, 137) may be started again by a script; "lockstep status RUN_DIR" tells.
)";

constexpr std::string_view kEnvironment = R"(
Environment:
  NO_COLOR, FORCE_COLOR   no colours, or colours although the output is no terminal
  TERM=dumb               plain progress lines instead of a bar
  CUDA_VISIBLE_DEVICES    the GPUs that a process sees; a rank takes the one of its number on its host
  LOCKSTEP_CUDA_LIBRARIES folders of cuDNN, cuBLASLt and NVRTC, separated by colons
  LOCKSTEP_CUDA_PLANS     a file of chosen convolution engines
  LOCKSTEP_NCCL           the path of libnccl.so.2
  LOCKSTEP_MPI_PLUG_IN    the MPI plug-in to take instead of the installed one: share/lockstep/mpi/build.sh makes one

Signals: SIGUSR1, SIGUSR2 and SIGTERM save the state after the running step and end with 75; so does the first Ctrl-C.
)";

std::string indented(std::string_view text, std::size_t columns) {
  std::string result;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) result += result.empty() ? line : "\n" + std::string(columns, ' ') + line;
  return result;
}

}  // namespace

std::string describe_command(const Command& command) {
  std::string text =
      fmt::format("usage: lockstep {}{}{}\n\n{}\n", command.name, command.usage.empty() ? "" : " ", command.usage, command.summary);
  if (!command.help.empty()) text += "\n" + command.help;
  if (text.back() != '\n') text += '\n';
  text += "\nOptions:\n";
  std::vector<std::pair<std::string, std::string>> rows;
  for (const OptionSpec& option : command.options)
    rows.emplace_back("--" + option.name + (option.value_name.empty() ? "" : "=" + option.value_name), option.help);
  rows.emplace_back("--help", "this text");
  std::size_t width = 0;
  for (const auto& [name, help] : rows) width = std::max(width, name.size());
  for (const auto& [name, help] : rows) text += fmt::format("  {:<{}}  {}\n", name, width, indented(help, width + 4));
  return text;
}

std::string describe_program(HelpLength length) {
  std::string text(kBrief);
  text += "\nCommands:\n";
  std::size_t width = 7;
  for (const auto& [name, command] : Commands::instance().all()) width = std::max(width, name.size());
  for (const auto& [name, command] : Commands::instance().all()) text += fmt::format("  {:<{}}  {}\n", name, width, command.summary);
  if (length == HelpLength::brief) return text + "\n\"lockstep --help\" says more; \"lockstep help COMMAND\" explains a command.\n";
  text += fmt::format("  {:<{}}  {}\n", "help", width, "explain a command: lockstep help train");
  text += kExitCodes;
  text += kEnvironment;
  return text + "\n\"lockstep help COMMAND\" explains a command; \"lockstep --version\" shows what this build can do.\n";
}

}  // namespace lockstep
