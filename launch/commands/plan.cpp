#include <ostream>

#include "distributed/self_communicator.h"
#include "launch/command.h"
#include "launch/engine.h"
#include "launch/model_setup.h"
#include "launch/run_data.h"
#include "launch/training_command.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep plan examples/fashion_mnist/run.toml
  lockstep plan resnet50
  lockstep plan run.toml run.precision=bf16 data.global_batch=1024

Compiles the model and prints the plan: instructions and the kernel that serves each, shapes, parameters, activation
memory, buckets and collectives. RUN_FILE is a path or the name of a shipped recipe. Reads the data files for their shapes, unless the run
file declares them (data.input.shape); trains nothing and starts no MPI.
)";

int run(const Arguments& arguments, CommandContext& context) {
  const auto& given = arguments.positional();
  if (given.empty()) fail(ErrorKind::usage, "plan: expected a run file; see \"lockstep plan --help\"");
  const RunConfig config = load_run_config(given[0], std::span(given).subspan(1));
  SelfCommunicator alone;
  const Engine engine = make_engine(config.run, alone);
  const Precision precision = choose_precision(config.run, *engine.backend);
  const Dtype activations = activation_dtype(precision);
  const auto declared = declared_fields(config, activations);
  const auto plan = compile_model(config, declared ? *declared : load_run_data(config).train.batch_fields(activations), precision);
  Program::Parts parts{.plan = plan, .backend = *engine.backend, .mode = engine.mode, .share = engine.share, .statistics = *engine.statistics, .gradients = engine.gradients.get()};
  const auto training = Program::bind(parts);
  parts.kind = Program::Kind::evaluation;
  parts.gradients = nullptr;
  const auto evaluation = Program::bind(parts);
  context.out << describe_plan(*plan, training->implementations(), evaluation->implementations());
  return 0;
}

const RegisterCommand registered({.name = "plan",
                                  .summary = "print the compiled plan of a run file",
                                  .usage = "RUN_FILE [KEY=VALUE ...]",
                                  .help = kHelp,
                                  .options = {},
                                  .run = run});

}  // namespace
}  // namespace lockstep
