#include "launch/callbacks/metrics_jsonl.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

std::optional<std::int64_t> step_of(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) return {};
  return json["step"].get<std::int64_t>();
}

}  // namespace

MetricsJsonl::MetricsJsonl(Options options) : options_(std::move(options)), file_(options_.path, options_.resumed_step, 0, step_of) {
  options_.every_steps = std::max<std::int64_t>(options_.every_steps, 1);
}

void MetricsJsonl::on_step_end(const StepInfo& info, LoopRequest&) {
  if (info.step % options_.every_steps != 0) return;
  const Json json = {{"step", info.step},
                     {"epoch", info.epoch},
                     {"event", "step"},
                     {"loss", info.loss},
                     {"learning_rate", info.learning_rate},
                     {"momentum", info.momentum},
                     {"gradient_norm", info.gradient_norm},
                     {"samples", info.samples},
                     {"updated", info.updated},
                     {"loss_scale", info.loss_scale},
                     {"wall", {{"seconds", info.step_seconds}, {"input_seconds", info.input_seconds}}}};
  file_.add(json.dump());
}

void MetricsJsonl::on_epoch_end(const EpochInfo& info, LoopRequest&) {
  Json json = {{"step", info.step}, {"epoch", info.epoch}, {"event", "epoch"}, {"samples", info.samples}, {"metrics", Json::object()}};
  for (const auto& [name, value] : info.metrics) json["metrics"][name] = value;
  json["wall"] = {{"seconds", info.seconds}};
  file_.add(json.dump());
}

}  // namespace lockstep
