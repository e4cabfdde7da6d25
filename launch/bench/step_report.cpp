#include "launch/bench/step_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/text.h"
#include "launch/bench/device_report.h"
#include "launch/version.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const StepFacts& facts) {
  return {{"schema", 1},
          {"kind", "bench step"},
          {"program", version_line()},
          {"model", facts.model},
          {"host", facts.host},
          {"device", facts.device},
          {"ranks", facts.ranks},
          {"workers", facts.workers},
          {"mode", facts.mode},
          {"precision", name_of(facts.precision)},
          {"lanes", facts.lanes},
          {"global_batch", facts.global_batch},
          {"batches", facts.batches},
          {"fields", facts.fields},
          {"parameters", facts.parameters},
          {"notes", facts.notes},
          {"memory",
           {{"activation_bytes", facts.activation_bytes},
            {"parameter_bytes", facts.parameter_bytes},
            {"device_bytes", facts.device_bytes > 0 ? Json(facts.device_bytes) : Json()},
            {"resident_bytes", facts.resident_bytes}}},
          {"recordings", facts.recordings},
          {"digest", {{"step", facts.digest_step}, {"value", facts.digest}, {"loss", facts.first_loss}}}};
}

Json to_json(const Stopwatch::Block& block) { return {{"steps", block.steps}, {"seconds", block.seconds}}; }

Json profile_json(const StepResults& results) {
  const Roofs roofs = roofs_of(results);
  const auto steps = static_cast<double>(std::max<std::int64_t>(results.profile_steps, 1));
  Json entries = Json::array();
  for (const ProfileEntry& entry : results.profile)
    entries.push_back({{"op", entry.op}, {"kernel", entry.kernel}, {"calls", entry.calls}, {"seconds", entry.seconds / steps}, {"bytes", entry.work.bytes},
                       {"operations", entry.work.operations}, {"roofline_seconds", roofs.seconds(entry.work)}});
  return {{"steps", results.profile_steps}, {"step_seconds", results.profile_seconds}, {"entries", std::move(entries)}};
}

double roofline_of(const StepResults& results) {
  double seconds = 0;
  for (const ProfileEntry& entry : results.profile) seconds += roofs_of(results).seconds(entry.work);
  return seconds;
}

std::string memory_text(const StepFacts& facts) {
  std::string text = fmt::format("activations {}, parameters with gradients and optimizer {}, ", format_bytes(facts.activation_bytes), format_bytes(facts.parameter_bytes));
  if (facts.device_bytes > 0) text += fmt::format("device in use {}, ", format_bytes(facts.device_bytes));
  return text + fmt::format("host {}", format_bytes(facts.resident_bytes));
}

std::string blocks_text(const StepResults& results) {
  std::int64_t steps = 0;
  for (const Stopwatch::Block& block : results.blocks) steps += block.steps;
  const double step = results.median_step();
  return fmt::format("step        {:.3f} ms, the median of {} blocks, {} steps in all; {:.3f} to {:.3f} ms\nspeed       {} samples/s\n", 1e3 * step,
                     results.blocks.size(), format_count(steps), 1e3 * results.shortest_step(), 1e3 * results.longest_step(),
                     format_count(std::llround(static_cast<double>(results.facts.global_batch) / step)));
}

}  // namespace

Roofs roofs_of(const StepResults& results) {
  return {.bytes_per_second = results.rates.copy(), .operations_per_second = results.rates.product(results.facts.precision)};
}

std::string ready_json(const StepFacts& facts) {
  Json json = {{"ready", true}};
  json.update(to_json(facts));
  return json.dump();
}

std::string served_json(const Stopwatch::Block& block) { return to_json(block).dump(); }

std::string step_text(const StepResults& results) {
  const StepFacts& facts = results.facts;
  std::string text = fmt::format("{}: {} parameters, global batch {} in {} lanes of {}\n{}\n", facts.model, format_count(facts.parameters),
                                 format_count(facts.global_batch), facts.lanes, join(facts.fields), facts.ranks_line);
  for (const std::string& note : facts.notes) text += note + "\n";
  if (!results.blocks.empty()) text += blocks_text(results);
  text += fmt::format("memory      {}\n", memory_text(facts));
  text += fmt::format("recordings  {}\n", facts.recordings > 0 ? std::to_string(facts.recordings) : "none: each step is queued anew");
  text += fmt::format("state       digest {} after {} steps, loss {:.6g}\n", facts.digest, facts.digest_step, facts.first_loss);
  if (results.profile.empty()) return text;
  const Roofs roofs = roofs_of(results);
  const double roofline = roofline_of(results), step = results.median_step();
  text += "\n" + describe_profile(results.profile, results.profile_steps, roofs);
  text += fmt::format("\nroofline    {:.3f} ms a step, {:.0f}% of the {:.3f} ms that it takes; copies {:.1f} GB/s, {} products {:.3f} TFLOP/s\n", 1e3 * roofline,
                      100 * roofline / step, 1e3 * step, 1e-9 * roofs.bytes_per_second, name_of(facts.precision), 1e-12 * roofs.operations_per_second);
  text += fmt::format("profiled    {:.3f} ms a step{}{}\n", 1e3 * results.profile_seconds, facts.ranks > 1 ? "; the table is rank 0's share" : "",
                      facts.workers > 1 ? fmt::format("; its times are the mean of {} threads", facts.workers) : "");
  return text;
}

std::string step_json(const StepResults& results) {
  Json json = to_json(results.facts);
  json["blocks"] = Json::array();
  for (const Stopwatch::Block& block : results.blocks) json["blocks"].push_back(to_json(block));
  if (!results.blocks.empty()) {
    const double step = results.median_step();
    json["step_seconds"] = {{"median", step}, {"least", results.shortest_step()}, {"most", results.longest_step()}};
    json["samples_per_second"] = static_cast<double>(results.facts.global_batch) / step;
  }
  if (!results.profile.empty()) {
    json["rates"] = Json::parse(rates_json(results.rates));
    json["profile"] = profile_json(results);
    json["roofline_seconds"] = roofline_of(results);
  }
  return json.dump(2) + "\n";
}

}  // namespace lockstep
