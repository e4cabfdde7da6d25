#include <ostream>

#include "core/base/text.h"
#include "distributed/agree.h"
#include "distributed/world.h"
#include "launch/bench/device_report.h"
#include "launch/bench/rate_options.h"
#include "launch/command.h"
#include "launch/device_choice.h"
#include "launch/engine.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep bench device
  lockstep bench device run.device=cpu run.threads=auto
  mpirun -np 8 lockstep bench device --json > rates.json

Measures what the device of this rank can do at most: copies within its memory, copies to it and back, and matrix
products in every precision that it computes, by the kernel that serves dense layers. Several ranks measure at the
same time, so ranks of one processor share its memory's bandwidth. KEY=VALUE sets an entry of [run].
)";

/// `[run]` from the command line alone.
RunOptions run_options(std::span<const std::string> overrides) {
  Value root;
  for (const std::string& text : overrides) {
    if (!text.starts_with("run.")) fail(ErrorKind::usage, "bench device: expected run.KEY=VALUE, got \"{}\"", text);
    apply_override(root, text);
  }
  const Value* run = root.find("run");
  return read_run_options(run ? *run : Value(), "bench");
}

int run(const Arguments& arguments, CommandContext& context) {
  context.world = open_world();
  Communicator& ranks = *context.world;
  RunOptions options;
  const RateRequest request = read_rate_options(arguments, "seconds");
  agree_on(ranks, [&] { options = run_options(arguments.positional()); });
  ChosenBackend chosen = choose_backend(options, choose_threads(options, ranks), ranks);
  Backend& backend = *chosen.backend;
  DeviceRates rates;
  ranks.barrier();
  agree_on(ranks, [&] { rates = measure_device(backend, choose_rate_settings(backend, ranks.local_size(), request), backend.precisions()); });
  const DeviceReport report = make_device_report(rates, backend, ranks);
  if (ranks.rank() == 0) context.out << (arguments.has("json") ? report.json : report.text) << std::flush;
  ranks.close();
  return 0;
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> result = rate_options("seconds");
  result.push_back({.name = "json", .value_name = "", .help = "one JSON object: launch/bench/README.md"});
  return result;
}

const RegisterCommand registered({.name = "bench device",
                                  .summary = "measure what the device can do at most",
                                  .usage = "[run.KEY=VALUE ...] [--json]",
                                  .help = kHelp,
                                  .options = options(),
                                  .run = run});

}  // namespace
}  // namespace lockstep
