#include "launch/run_config.h"

#include <filesystem>

#include "io/augment.h"
#include "launch/run_section.h"

namespace lockstep {
namespace {

RunOptions read_run(Section& in, const std::string& path) {
  RunOptions run;
  run.directory = in.text("directory", "runs/" + std::filesystem::path(path).stem().string());
  if (run.directory.empty()) fail(ErrorKind::run_file, "{}\"directory\": expected a path, got \"\"", in.where("directory"));
  run.seed = in.integer("seed", 1, {.least = 0});
  run.mode = in.choice("mode", {"exact", "fast"}, "exact") == "exact" ? RunMode::exact : RunMode::fast;
  run.lanes = static_cast<int>(in.integer("lanes", 16, {.least = 1, .most = 4096}));
  const Value* threads = in.take("threads");
  const bool automatic = threads && threads->is_text() && threads->as_text() == "auto";
  run.threads = automatic ? 0 : static_cast<int>(in.integer("threads", 1, {.least = 1, .most = 4096}));
  const std::string device = in.choice("device", {"auto", "cpu", "cuda"}, "auto");
  if (device != "auto") run.device = device == "cpu" ? RunOptions::DeviceKind::cpu : RunOptions::DeviceKind::cuda;
  const std::string precision = in.choice("precision", {"auto", "f32", "tf32", "bf16", "f16"}, "auto");
  if (precision != "auto") run.precision = precision_from_name(precision);
  const std::string collectives = in.choice("collectives", {"auto", "nccl", "staged"}, "auto");
  if (collectives != "auto") run.collectives = collectives == "nccl" ? RunOptions::Collectives::nccl : RunOptions::Collectives::staged;
  const bool resume = in.choice("if_exists", {"error", "resume"}, "error") == "resume";
  run.if_exists = resume ? RunOptions::IfExists::resume : RunOptions::IfExists::error;
  in.finish();
  return run;
}

CheckpointOptions read_checkpoint(Section& in, const DataOptions& data, const std::vector<Value>& metrics) {
  CheckpointOptions checkpoint;
  checkpoint.every_steps = in.integer("every_steps", 0, {.least = 0, .most = kMostCount});
  checkpoint.every_epochs = in.integer("every_epochs", checkpoint.every_steps ? 0 : 1, {.least = 0, .most = kMostCount});
  checkpoint.keep = in.integer("keep", 3, {.least = 1, .most = kMostCount});
  const std::string best = in.text("best", "none");
  if (best != "none") checkpoint.best = check_monitor(best, in.where("best") + "\"best\": ", data, metrics);
  in.finish();
  return checkpoint;
}

EvaluateOptions read_evaluate(Section& in) {
  EvaluateOptions evaluate;
  evaluate.every_epochs = in.integer("every_epochs", 1, {.least = 1, .most = kMostCount});
  in.finish();
  return evaluate;
}

/// A field's table with its defaults.
Value resolved_field(Value table, const DataField& field) {
  static constexpr const char* kLayouts[] = {"plain", "NHWC", "NCHW"};
  static constexpr const char* kScales[] = {"none", "unit", "standardize", "given"};
  table.set("layout", Value::text(kLayouts[static_cast<std::size_t>(field.layout)]));
  if (field.scale != DataScale::given) table.set("scale", Value::text(kScales[static_cast<std::size_t>(field.scale)]));
  table.set("classes", Value::integer(field.classes));
  return table;
}

void resolve_fields(Section& in, const DataOptions& data, const char* one, const char* several) {
  if (const Value* table = in.resolved().find(one)) {
    for (const DataField& field : data.fields)
      if (field.name == one) return in.replace(one, resolved_field(*table, field));
  }
  const Value* list = in.resolved().find(several);
  if (!list) return;
  Value::Array tables;
  for (const Value& table : list->as_array())
    for (const DataField& field : data.fields)
      if (field.name == table.find("name")->as_text()) tables.push_back(resolved_field(table, field));
  in.replace(several, Value(Value::Data(std::move(tables))));
}

DataOptions read_data(Section& in, const std::string& folder) {
  DataOptions data = read_data_options(in.resolved(), folder);
  make_augmentations(data.augment);
  in.resolve("shuffle", Value::boolean(data.shuffle));
  for (const char* key : {"validation", "test", "augment"}) in.resolve(key, Value(Value::Data(Value::Array{})));
  resolve_fields(in, data, "input", "inputs");
  resolve_fields(in, data, "target", "targets");
  return data;
}

}  // namespace

RunOptions read_run_options(const Value& table, const std::string& path) {
  Section section(table, "[run]");
  return read_run(section, path);
}

RunConfig read_run_config(const Value& root, const std::string& path) {
  Section top(root, "run file");
  const auto section = [&](const char* name) { return Section(top.table(name), std::string("[") + name + "]"); };
  Section run = section("run"), checkpoint = section("checkpoint"), train = section("train"), evaluate = section("evaluate");
  Section data(top.required("data", "{ train = \"file.h5:/train\", ... }"), "[data]");
  const Value& model = top.required("model", "{ layers = [...] }");
  if (!model.is_table()) fail(ErrorKind::run_file, "{}: [model]: expected a table, got {}", model.place().text(), model.describe());
  top.finish();

  RunConfig config;
  config.run = read_run(run, path);
  config.data = read_data(data, std::filesystem::path(path).parent_path().string());
  config.train = read_train(train, config.data);
  config.checkpoint = read_checkpoint(checkpoint, config.data, config.train.metrics);
  config.evaluate = read_evaluate(evaluate);
  config.model = model;
  const std::pair<const char*, const Section*> sections[] = {
      {"run", &run}, {"checkpoint", &checkpoint}, {"data", &data}, {"train", &train}, {"evaluate", &evaluate}};
  for (const auto& [name, read] : sections) config.resolved.set(name, read->resolved());
  config.resolved.set("model", model);
  return config;
}

}  // namespace lockstep
