#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "distributed/world.h"
#include "launch/command.h"
#include "launch/kernel_agreement.h"
#include "launch/loaded_model.h"
#include "launch/run_data.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep evaluate runs/first --data fashion.h5:/test
  mpirun -np 2 lockstep evaluate runs/first/checkpoints/best --data fashion.h5:/test --json

Loss and metrics of a checkpoint over a data set, each sample exactly once. CHECKPOINT is a file, a run directory, or
its checkpoints/latest or checkpoints/best.
)";

int run(const Arguments& arguments, CommandContext& context) {
  const std::string checkpoint = arguments.only("checkpoint");
  const auto data = arguments.value("data");
  if (!data) fail(ErrorKind::usage, "evaluate: expected --data FILE");
  context.world = open_world();
  Communicator& ranks = *context.world;
  LoadedModel model = load_model(checkpoint, *data, ModelUse::with_targets, ranks);
  auto evaluator = std::make_unique<Evaluator>(model.plan, *model.engine.backend, model.engine.mode, model.engine.share, *model.engine.statistics);
  for (const std::string& note : settle_kernels(*model.engine.backend, ranks)) context.err << note << std::endl;
  const auto loader = evaluation_loader(model.data, *model.plan, model.engine);
  const auto metrics = evaluator->run(*loader, model.store->view(), model.store->device_states());
  if (ranks.rank() == 0) {
    if (arguments.has("json")) {
      context.out << nlohmann::json{{"schema", 1}, {"step", model.meta.step}, {"samples", model.data.samples()}, {"metrics", metrics}}.dump() << std::endl;
    } else {
      std::string line = fmt::format("step {}, {} samples", model.meta.step, model.data.samples());
      for (const auto& [name, value] : metrics) line += fmt::format(", {} {:.4f}", name, value);
      context.out << line << std::endl;
    }
  }
  evaluator.reset();  // ranks on devices part when nothing that was recorded can speak any more
  if (model.engine.device_ranks) model.engine.device_ranks->close();
  ranks.close();
  return 0;
}

const RegisterCommand registered({.name = "evaluate",
                                  .summary = "loss and metrics of a checkpoint over a data set",
                                  .usage = "CHECKPOINT --data FILE[:GROUP] [--json]",
                                  .help = kHelp,
                                  .options = {{.name = "data", .value_name = "FILE", .help = "the data set: file.h5 or file.h5:/group"},
                                              {.name = "json", .value_name = "", .help = "one JSON object"}},
                                  .run = run});

}  // namespace
}  // namespace lockstep
