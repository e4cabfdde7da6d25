#include "launch/loaded_model.h"

#include <algorithm>
#include <filesystem>

#include "distributed/agree.h"
#include "io/atomic_file.h"
#include "io/checkpoint_store.h"
#include "launch/model_setup.h"
#include "launch/run_data.h"
#include "launch/run_file.h"

namespace lockstep {
namespace fs = std::filesystem;

std::string checkpoint_path(const std::string& given) {
  fs::path path = given;
  if (fs::is_directory(path / "checkpoints")) path /= "checkpoints";
  if (fs::is_directory(path)) path /= "latest";
  const std::string name = path.filename().string();
  if (name == "latest" && fs::exists(path)) {
    const auto found = CheckpointStore(path.parent_path().string()).find_latest();
    if (found) return found->path;
  }
  if (name == "best" && fs::exists(path)) {
    if (const auto best = CheckpointStore(path.parent_path().string()).best_path()) return *best;
  }
  if (name == "latest" || name == "best" || !fs::exists(path)) fail(ErrorKind::usage, "\"{}\": no checkpoint there", given);
  return path.string();
}

LoadedModel load_model(const std::string& checkpoint, const std::string& data_source, ModelUse use, Communicator& ranks) {
  std::string path;
  Checkpoint loaded;
  LoadedModel model;
  agree_on(ranks, [&] {
    path = checkpoint_path(checkpoint);
    loaded = read_checkpoint(path);
    model.meta = std::move(loaded.meta);
    model.config = read_run_config(parse_run_text(model.meta.run_file, path), path);
  });
  model.engine = make_engine(model.config.run, ranks);
  agree_on(ranks, [&] {
    DataOptions options = model.config.data;
    options.folder = fs::current_path().string();
    if (use == ModelUse::inputs_alone) std::erase_if(options.fields, [](const DataField& field) { return field.target; });
    model.data = Dataset::load(options, {data_source}, scalers_of(loaded.state, options.fields));
    const Precision precision = measuring_precision(model.config.run, *model.engine.backend);
    const auto fields = model.data.batch_fields(activation_dtype(precision));
    const PlanOptions plan_options{.precision = precision, .global_batch = options.global_batch, .lanes = model.config.run.lanes};
    const Graph graph = use == ModelUse::with_targets ? build_graph(model.config, fields) : build_bare_graph(model.config, fields);
    model.plan = std::make_shared<const Plan>(make_plan(graph, plan_options));
    model.store = std::make_unique<ParameterStore>(model.plan, 0, std::vector<std::string>{}, model.engine.backend->device());
    loaded.state.restore([&](StateVisitor& visitor) { model.store->visit_weights(visitor); }, path, SnapshotMatch::subset);
    model.store->commit();
  });
  return model;
}

}  // namespace lockstep
