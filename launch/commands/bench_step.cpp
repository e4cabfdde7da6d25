#include <unistd.h>

#include <filesystem>
#include <ostream>

#include "distributed/agree.h"
#include "distributed/world.h"
#include "io/atomic_file.h"
#include "launch/bench/rate_options.h"
#include "launch/bench/step_bench.h"
#include "launch/bench/step_report.h"
#include "launch/command.h"
#include "launch/training_command.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep bench step examples/fashion_mnist/run.toml
  lockstep bench step resnet50 run.precision=bf16 data.global_batch=256 --json step.json
  mpirun -np 8 lockstep bench step resnet50 data.global_batch=2048

Times training steps of a run file, or of a shipped recipe by its name, on made-up samples: what "train" does, without
files. Their shape is what the run file declares (data.input.shape), else that of its data file. The learning rate is a
hundredth of the run file's, since noise teaches nothing. Says how long a step takes, where its time goes, and how
near each kernel comes to what this device can do at most, measured just before (see "bench device").

--serve says {"ready": true, ...} in one line once everything is warm; then for each line N on standard input it runs
N steps and answers {"steps": N, "seconds": S}, until the input ends. So two programs can be timed in turn.
)";

constexpr double kMostSeconds = 86400;

StepBenchSettings settings_of(const Arguments& arguments) {
  StepBenchSettings settings;
  settings.warm_up = arguments.real("warm-up", settings.warm_up, 0, kMostSeconds);
  settings.seconds = arguments.real("seconds", settings.seconds, 0, kMostSeconds);
  settings.block_seconds = arguments.real("block", settings.block_seconds, 0, kMostSeconds);
  settings.rates = read_rate_options(arguments, "rate-seconds");
  return settings;
}

/// A long measurement should not end in a path that cannot be written.
void require_folder(const std::string& file) {
  const auto folder = std::filesystem::path(file).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder)) fail(ErrorKind::io, "bench step: --json: \"{}\": no folder \"{}\"", file, folder.string());
}

int run(const Arguments& arguments, CommandContext& context) {
  const auto& given = arguments.positional();
  if (given.empty()) fail(ErrorKind::usage, "bench step: expected a run file or the name of a recipe; see \"lockstep help bench step\"");
  const StepBenchSettings settings = settings_of(arguments);
  const auto file = arguments.value("json");
  context.world = open_world();
  Communicator& ranks = *context.world;
  RunConfig config;
  agree_on(ranks, [&] {
    config = load_run_config(given[0], std::span(given).subspan(1));
    if (file && ranks.rank() == 0) require_folder(*file);
  });
  const bool serves = arguments.has("serve");
  const StepResults results = serves ? serve_step_bench(given[0], config, settings, ranks, STDIN_FILENO, context.out)
                                     : run_step_bench(given[0], config, settings, ranks);
  agree_on(ranks, [&] {
    if (ranks.rank() > 0) return;
    if (!serves) context.out << step_text(results) << std::flush;
    if (file) commit_text(*file, step_json(results));
  });
  ranks.close();
  return 0;
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> result = {{.name = "seconds", .value_name = "S", .help = "of all blocks together: 10"},
                                    {.name = "warm-up", .value_name = "S", .help = "before them: 3 on a GPU, 1 on a processor"},
                                    {.name = "block", .value_name = "S", .help = "of one block of steps: 0.7"},
                                    {.name = "json", .value_name = "FILE", .help = "everything, for programs: launch/bench/README.md"},
                                    {.name = "serve", .value_name = "", .help = "run as many steps as lines of standard input ask for"}};
  for (OptionSpec& option : rate_options("rate-seconds")) result.push_back(std::move(option));
  return result;
}

const RegisterCommand registered({.name = "bench step",
                                  .summary = "time training steps, and say where the time goes",
                                  .usage = "MODEL [KEY=VALUE ...]",
                                  .help = kHelp,
                                  .options = options(),
                                  .run = run});

}  // namespace
}  // namespace lockstep
