#include "launch/model_setup.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/model/model_builder.h"

namespace lockstep {

Precision measuring_precision(const RunOptions& options, const Backend& backend) {
  const std::vector<Precision> has = backend.precisions();
  const bool lacks = options.precision && std::find(has.begin(), has.end(), *options.precision) == has.end();
  return lacks ? Precision::f32 : choose_precision(options, backend);
}

Precision choose_precision(const RunOptions& options, const Backend& backend) {
  std::vector<Precision> has = backend.precisions();
  if (!options.precision) return has.front();
  if (std::find(has.begin(), has.end(), *options.precision) != has.end()) return *options.precision;
  std::sort(has.begin(), has.end());
  std::vector<std::string> names;
  for (const Precision precision : has) names.emplace_back(name_of(precision));
  fail(ErrorKind::run_file, "run.precision: the {} engine computes {}, got \"{}\"", backend.name(), join(names, " and "), name_of(*options.precision));
}

LossScaling choose_loss_scaling(const TrainOptions& options, Precision precision) {
  if (options.loss_scaling) return *options.loss_scaling;
  if (precision == Precision::f16) return {.initial = LossScaling::kInitial, .growth_steps = LossScaling::kGrowthSteps};
  return {};
}

Graph build_bare_graph(const RunConfig& config, const std::vector<BatchField>& fields) {
  std::vector<NamedInput> inputs;
  for (const BatchField& field : fields) inputs.push_back({field.name, field.spec});
  return build_model(config.model, inputs);
}

Graph build_graph(const RunConfig& config, const std::vector<BatchField>& fields) {
  Graph graph = build_bare_graph(config, fields);
  add_training_heads(graph, config.train.loss, config.train.metrics);
  return graph;
}

std::shared_ptr<const Plan> compile_model(const RunConfig& config, const std::vector<BatchField>& fields, Precision precision) {
  return std::make_shared<const Plan>(
      make_plan(build_graph(config, fields), {.precision = precision, .global_batch = config.data.global_batch, .lanes = config.run.lanes}));
}

}  // namespace lockstep
