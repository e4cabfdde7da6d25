#include "launch/resolved_run.h"

#include <filesystem>

#include "io/atomic_file.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

std::string absolute(const std::string& path, const std::string& folder) {
  return (std::filesystem::absolute(folder.empty() ? "." : folder) / path).lexically_normal().string();
}

}  // namespace

std::string absolute_path(const RunConfig& config, const std::string& path) { return absolute(path, config.data.folder); }

std::string resolved_run_text(const RunConfig& config) {
  Value root = config.resolved;
  Value data = *root.find("data");
  for (const char* key : {"train", "validation", "test"}) {
    const Value* sources = data.find(key);
    if (!sources) continue;
    Value::Array paths;
    for (const Value& source : sources->is_array() ? sources->as_array() : Value::Array{*sources})
      paths.push_back(Value::text(absolute_path(config, source.as_text())));
    data.set(key, Value(Value::Data(std::move(paths))));
  }
  root.set("data", std::move(data));
  if (config.train.weights) {
    Value train = *root.find("train"), weights = *train.find("weights");
    const Value file = Value::text(absolute_path(config, config.train.weights->file));
    if (weights.is_table())
      weights.set("file", file);
    else
      weights = file;
    train.set("weights", weights);
    root.set("train", std::move(train));
  }
  Value run = *root.find("run");
  run.set("directory", Value::text(absolute(config.run.directory, "")));
  root.set("run", std::move(run));
  return write_run_text(root);
}

void write_resolved_run(const RunPaths& paths, const RunConfig& config) { commit_text(paths.run_file(), resolved_run_text(config)); }

}  // namespace lockstep
