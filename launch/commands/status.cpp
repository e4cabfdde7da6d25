#include <ostream>

#include "launch/command.h"
#include "launch/run_directory.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep status runs/first
  until lockstep status runs/first; do [ $? -eq 75 ] && mpirun -np 4 lockstep resume runs/first; sleep 60; done

Prints one line and ends with a code for scripts. Reads files and asks for the lock; disturbs nothing, starts no MPI.

Exit codes:
   0  done
   1  running: somebody holds the directory's lock
  75  start again: stopped with the state saved, or killed
  64  the directory holds no run (or the command line is wrong)
  65, 70, 74, 78  failed, with the code that the run ended with
)";

int run(const Arguments& arguments, CommandContext& context) {
  const RunStatus status = run_status(arguments.only("run directory"));
  context.out << status.line << '\n';
  return status.exit_code;
}

const RegisterCommand registered({.name = "status",
                                  .summary = "say whether a run is done, running, to be started again, or failed",
                                  .usage = "RUN_DIR",
                                  .help = kHelp,
                                  .options = {},
                                  .run = run});

}  // namespace
}  // namespace lockstep
