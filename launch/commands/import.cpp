#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "core/base/text.h"
#include "core/model/parameter_store.h"
#include "io/checkpoint.h"
#include "io/weights_file.h"
#include "launch/command.h"
#include "launch/model_setup.h"
#include "launch/resolved_run.h"
#include "launch/run_data.h"
#include "launch/training_command.h"
#include "launch/version.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  lockstep import resnet50.safetensors resnet50 resnet50.h5
  lockstep evaluate resnet50.h5 --data imagenet.h5:/validation
  lockstep import other.safetensors run.toml model.h5 model.head.dense=20

Makes a checkpoint of the run file's model with the weights of a safetensors file, for evaluate, predict, export and inspect. Names and
shapes must be the model's: the reverse of export. To train from such a file, set train.weights in the run file. The run file's training
data is read only where inputs are scaled by what is found in it (scale = "standardize").
)";

/// What inputs are scaled by, without the data where the run file says it all.
Dataset scaling_data(const RunConfig& config) {
  const bool fitted = std::ranges::any_of(config.data.fields, [](const DataField& field) { return field.scale == DataScale::standardize; });
  if (!fitted)
    if (auto declared = Dataset::noise(config.data, 0)) return std::move(*declared);
  return Dataset::load(config.data, config.data.train);
}

int run(const Arguments& arguments, CommandContext& context) {
  const auto& given = arguments.positional();
  if (given.size() < 3) fail(ErrorKind::usage, "import: expected a safetensors file, a run file and a checkpoint to write, got {} arguments", given.size());
  const RunConfig config = load_run_config(given[1], std::span(given).subspan(3));
  const Dataset data = scaling_data(config);
  ParameterStore store(compile_model(config, data.batch_fields(Dtype::f32), Precision::f32), 0, {});
  const VisitState weights = [&](StateVisitor& visitor) { store.visit_weights(visitor); };
  read_weights(given[0], {}, weights);
  store.commit();
  auto fitted = fitted_numbers(data);
  save_checkpoint(given[2], {.created_by = version_line(), .fingerprint = "imported", .run_file = resolved_run_text(config)}, [&](StateVisitor& visitor) {
    {
      const StatePart part(visitor, "fitted");
      for (auto& [name, values] : fitted) visitor.reals(name, values);
    }
    weights(visitor);
  });
  context.out << fmt::format("{}: {} parameters of {}\n", given[2], format_count(store.plan().parameter_elements()), given[0]);
  return 0;
}

const RegisterCommand registered({.name = "import",
                                  .summary = "make a checkpoint from the weights of a safetensors file",
                                  .usage = "WEIGHTS.safetensors RUN_FILE OUT.h5 [KEY=VALUE ...]",
                                  .help = kHelp,
                                  .options = {},
                                  .run = run});

}  // namespace
}  // namespace lockstep
