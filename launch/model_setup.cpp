#include "launch/model_setup.h"

#include "core/model/model_builder.h"

namespace lockstep {

Precision choose_precision(const RunOptions& options, const Backend& backend) {
  switch (options.precision) {
    case RunOptions::Precision::f32: return Precision::f32;
    case RunOptions::Precision::bf16: return Precision::bf16;
    case RunOptions::Precision::automatic: break;
  }
  return backend.native_bf16() ? Precision::bf16 : Precision::f32;
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
