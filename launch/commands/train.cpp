#include "launch/training_command.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep train examples/fashion_mnist/run.toml
  mpirun -np 4 lockstep train run.toml run.directory=runs/second train.epochs=20
  srun --mpi=pmix lockstep train run.toml run.if_exists=resume

Trains as the run file says. RUN_FILE is a path, or the name of a shipped recipe, which is read as if it lay in the current folder.
KEY=VALUE overrides an entry; the value is TOML where it can be read as such, else text.
The number of ranks changes how long a run takes, and nothing else. SIGUSR1, SIGUSR2 and SIGTERM save and end with 75.

Exit codes: 0 done, 64 usage, 65 bad content of a file, 70 internal or diverged, 74 I/O, 75 stopped with the state
saved (start again), 78 bad run file.
)";

int run(const Arguments& arguments, CommandContext& context) {
  const auto& given = arguments.positional();
  if (given.empty()) fail(ErrorKind::usage, "train: expected a run file; see \"lockstep train --help\"");
  return run_training_command(arguments, context, [&] { return load_run_config(given[0], std::span(given).subspan(1)); }, false);
}

const RegisterCommand registered({.name = "train",
                                  .summary = "train as a run file says",
                                  .usage = "RUN_FILE [KEY=VALUE ...]",
                                  .help = kHelp,
                                  .options = training_options(),
                                  .run = run});

}  // namespace
}  // namespace lockstep
