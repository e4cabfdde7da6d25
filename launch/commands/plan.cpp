#include <fmt/format.h>

#include <chrono>
#include <ostream>
#include <thread>

#include "core/base/table.h"
#include "core/base/text.h"
#include "distributed/self_communicator.h"
#include "distributed/start_up.h"
#include "io/atomic_file.h"
#include "launch/command.h"
#include "launch/described_device.h"
#include "launch/device_choice.h"
#include "launch/engine.h"
#include "launch/kernel_agreement.h"
#include "launch/model_setup.h"
#include "launch/plan_kernels.h"
#include "launch/run_data.h"
#include "launch/training_command.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep plan examples/fashion_mnist/run.toml
  lockstep plan run.toml run.precision=bf16 data.global_batch=1024
  lockstep plan --device h200 resnet50
  lockstep plan --device h200 --build --out h200.json --ranks 8 resnet50
  lockstep plan --tune run.toml

Compiles the model and prints the plan: instructions and the kernel that serves each, shapes, parameters, activation
memory, buckets and collectives. RUN_FILE is a path or the name of a shipped recipe. Reads the
data files for their shapes, unless the run file declares them (data.input.shape); trains nothing
and starts no MPI.

--device plans for a GPU that need not be here: one of share/lockstep/devices, or your own
FILE.json of that kind. It names the engines of cuDNN that would serve. --build makes the plans
that a first run there starts from and writes them into one file, for share/lockstep/plans of the
installation; building again adds to the file. --tune times the first few engines of each
convolution on the GPU at hand, keeps the fastest for runs to come on this machine, and says what
that gains.
)";

constexpr double kWorthTelling = 0.2;  ///< seconds that a kernel took to make

std::shared_ptr<const Plan> compile(const RunConfig& config, const Backend& backend) {
  const Precision precision = choose_precision(config.run, backend);
  const Dtype activations = activation_dtype(precision);
  const auto declared = declared_fields(config, activations);
  return compile_model(config, declared ? *declared : load_run_data(config).train.batch_fields(activations), precision);
}

void tell(const PlanKernels::Made& made, std::ostream& err) {
  if (made.seconds >= kWorthTelling)
    err << fmt::format("{}/{} {}: {}, {:.1f} s", made.done, made.total, made.what, made.implementation, made.seconds) << std::endl;
}

void tell_notes(KernelChoices& choices, std::ostream& err) {
  for (const std::string& note : choices.take_notes()) err << note << std::endl;
}

/// For a GPU that need not be here.
int plan_ahead(const Arguments& arguments, const RunConfig& config, CommandContext& context) {
  const bool build = arguments.has("build");
  const std::string device = *arguments.value("device");
  const std::string out = arguments.value("out", device.ends_with(".json") ? "plans.json" : device + ".json");
  const auto backend = open_described_device({.device = device, .plans = out, .compile = build});
  const auto plan = compile(config, *backend);
  const int ranks = static_cast<int>(arguments.integer("ranks", 1, 1, 1 << 20));
  require_lanes(plan->options.lanes, ranks);
  const PlanKernels kernels{.plan = *plan, .backend = *backend, .mode = config.run.mode, .ranks = ranks};
  KernelChoices& choices = *backend->choices();
  if (!build) {
    const auto training = kernels.implementations(plan->training), evaluation = kernels.implementations(plan->evaluation);
    context.out << describe_plan(*plan, training, evaluation);
    tell_notes(choices, context.err);
    return 0;
  }
  const auto start = std::chrono::steady_clock::now();
  kernels.make_all(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())), [&](const PlanKernels::Made& made) { tell(made, context.err); });
  tell_notes(choices, context.err);
  const std::string text = choices.known();
  commit_text(out, text);
  context.out << fmt::format("{}: {}, {}, {:.1f} s", out, choices.describe(), format_bytes(text.size()),
                             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count())
              << std::endl;
  return 0;
}

std::string describe_timings(const std::vector<KernelChoices::Timing>& timings) {
  TextTable table({"layer", "layers", "rows", "first engine", "us", "best engine", "us", "gain"});
  double first = 0, best = 0;
  for (const auto& timing : timings) {
    const auto layers = static_cast<double>(timing.layers.size());
    first += layers * timing.first_microseconds, best += layers * timing.best_microseconds;
    const double gain = timing.best_microseconds > 0 ? timing.first_microseconds / timing.best_microseconds : 1;
    table.add({timing.layers.front(), std::to_string(timing.layers.size()), std::to_string(timing.rows), timing.first, fmt::format("{:.1f}", timing.first_microseconds),
               timing.best, fmt::format("{:.1f}", timing.best_microseconds), fmt::format("{:.2f}", gain)});
  }
  return table.text() + fmt::format("one call of each layer: {:.3f} ms with the first engines, {:.3f} ms with the best\n", first / 1000, best / 1000);
}

int tune(const Arguments& arguments, const RunConfig& config, CommandContext& context) {
  const auto backend = open_tuning_backend();
  KernelChoices* choices = backend->choices();
  if (!choices) fail(ErrorKind::usage, "plan: --tune: the {} engine has nothing to time", backend->name());
  const auto plan = compile(config, *backend);
  const int ranks = static_cast<int>(arguments.integer("ranks", 1, 1, 1 << 20));
  require_lanes(plan->options.lanes, ranks);
  const PlanKernels kernels{.plan = *plan, .backend = *backend, .mode = config.run.mode, .ranks = ranks};
  kernels.make_all(1, [&](const PlanKernels::Made& made) { tell(made, context.err); });
  choices->keep();
  tell_notes(*choices, context.err);
  context.out << describe_timings(choices->timings());
  return 0;
}

int plan_here(const RunConfig& config, CommandContext& context) {
  SelfCommunicator alone;
  const Engine engine = make_engine(config.run, alone);
  const auto plan = compile(config, *engine.backend);
  Program::Parts parts{.plan = plan, .backend = *engine.backend, .mode = engine.mode, .share = engine.share, .statistics = *engine.statistics, .gradients = engine.gradients.get()};
  // Threads take lane after lane: one has the kernels of all, and needs a sixteenth of the memory.
  if (engine.mode == RunMode::exact && engine.backend->order() == WorkOrder::by_lane) parts.share.lanes = {0, 1};
  const auto training = Program::bind(parts);
  parts.kind = Program::Kind::evaluation;
  parts.gradients = nullptr;
  const auto evaluation = Program::bind(parts);
  for (const std::string& note : settle_kernels(*engine.backend, alone)) context.err << note << std::endl;
  context.out << describe_plan(*plan, training->implementations(), evaluation->implementations());
  return 0;
}

int run(const Arguments& arguments, CommandContext& context) {
  const auto& given = arguments.positional();
  const bool ahead = arguments.value("device").has_value();
  if (given.empty()) fail(ErrorKind::usage, "plan: expected a run file; see \"lockstep plan --help\"");
  if (ahead && arguments.has("tune")) fail(ErrorKind::usage, "plan: --tune is for the GPU at hand, --device for one that need not be here");
  if (!ahead)
    for (const char* option : {"build", "out"})
      if (arguments.has(option)) fail(ErrorKind::usage, "plan: --{} belongs to --device; known: {}", option, join(described_device_names()));
  const RunConfig config = load_run_config(given[0], std::span(given).subspan(1));
  if (ahead) return plan_ahead(arguments, config, context);
  return arguments.has("tune") ? tune(arguments, config, context) : plan_here(config, context);
}

const RegisterCommand registered({.name = "plan",
                                  .summary = "print the compiled plan of a run file; make or tune a GPU's plans",
                                  .usage = "[--device GPU [--build]] [--tune] RUN_FILE [KEY=VALUE ...]",
                                  .help = kHelp,
                                  .options = {{.name = "device", .value_name = "GPU", .help = "plan for this GPU: h200, h100, a100, or FILE.json"},
                                              {.name = "build", .value_name = "", .help = "with --device: make its plans and write them"},
                                              {.name = "out", .value_name = "FILE", .help = "with --build: the plan file, by default GPU.json"},
                                              {.name = "ranks", .value_name = "N", .help = "with --build or --tune: of this many ranks (1)"},
                                              {.name = "tune", .value_name = "", .help = "time engines on the GPU at hand and keep the fastest"}},
                                  .run = run});

}  // namespace
}  // namespace lockstep
