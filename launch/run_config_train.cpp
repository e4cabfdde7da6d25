#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/text.h"
#include "core/model/layer.h"
#include "core/train/clipping.h"
#include "core/train/optimizer.h"
#include "core/train/schedule.h"
#include "launch/run_section.h"

namespace lockstep {
namespace {

/// "90", "1h30m", "45s" or "00:30:00" as seconds; negative where it is none of them.
double seconds_of(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool clock = text.find(':') != std::string_view::npos;
  double total = 0;
  double last_unit = 1e9;
  int parts = 0;
  while (at != end) {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number < 0 || number > 1000000000) return -1;
    at = stop;
    ++parts;
    if (clock) {
      total = total * 60 + static_cast<double>(number);
      if (at == end) return parts == 2 || parts == 3 ? total : -1;
      if (*at++ != ':' || at == end) return -1;
      continue;
    }
    const double unit = at == end ? 1 : *at == 'd' ? 86400 : *at == 'h' ? 3600 : *at == 'm' ? 60 : *at == 's' ? 1 : 1e10;
    if (unit >= last_unit || (at == end && parts > 1)) return -1;
    last_unit = unit;
    if (at != end) ++at;
    total += static_cast<double>(number) * unit;
  }
  return parts ? total : -1;
}

std::string metric_name(const Value& metric) {
  if (const Value* name = metric.find("name"); name && name->is_text()) return name->as_text();
  return plug_in_name<Metric>(metric, metric.place().text());
}

LearningRateOptions read_learning_rate(Section& in, std::int64_t global_batch) {
  const Value given = in.required("learning_rate", "{ peak = 0.1 }");
  Value table = given;
  if (given.is_number()) {
    table = Value(Value::Data(Value::Table{}), given.place());
    table.set("peak", given);
  }
  Section rate(table, "[train] learning_rate");
  LearningRateOptions result;
  rate.required("peak", "0.1");
  result.peak = rate.real("peak", 0.0, {});
  if (!(result.peak > 0) || !std::isfinite(result.peak))
    fail(ErrorKind::run_file, "{}\"peak\": expected a rate above 0, got {}", rate.where("peak"), result.peak);
  result.at_batch = rate.integer("at_batch", global_batch, {.least = 1, .most = kMostCount});
  const std::string scale = rate.choice("scale", {"linear", "sqrt", "none"}, "linear");
  using Scale = LearningRateOptions::Scale;
  result.scale = scale == "linear" ? Scale::linear : scale == "sqrt" ? Scale::sqrt : Scale::none;
  rate.finish();
  in.replace("learning_rate", rate.resolved());
  return result;
}

void read_length(Section& in, TrainOptions& train) {
  in.required("epochs", "10");
  train.epochs = in.integer("epochs", 0, {.least = 1, .most = kMostCount});
  if (in.has("steps")) train.steps = in.integer("steps", 0, {.least = 1, .most = kMostCount});
  if (const Value* time = in.optional("max_time")) train.max_seconds = parse_duration(*time, in.where("max_time") + "\"max_time\": ");
}

std::vector<Value> read_metrics(Section& in, const DataOptions& data) {
  const bool classes = std::any_of(data.fields.begin(), data.fields.end(), [](const DataField& f) { return f.target && f.classes > 0; });
  const Value* given = in.take("metrics");
  std::vector<Value> metrics;
  if (given && given->is_array())
    metrics = given->as_array();
  else if (given)
    metrics = {*given};
  else if (classes)
    metrics = {Value::text("accuracy")};
  in.replace("metrics", Value(Value::Data(metrics)));
  std::vector<std::string> names;
  for (const Value& metric : metrics) {
    const std::string name = metric_name(metric);
    if (name == "loss" || std::find(names.begin(), names.end(), name) != names.end())
      fail(ErrorKind::run_file, "{}: [train] metrics: two are called \"{}\"; give one a \"name\"", metric.place().text(), name);
    names.push_back(name);
  }
  return metrics;
}

std::optional<EarlyStoppingOptions> read_early_stopping(Section& in, const DataOptions& data, const std::vector<Value>& metrics) {
  const Value* table = in.optional("early_stopping");
  if (!table) return {};
  Section stop(*table, "[train] early_stopping");
  EarlyStoppingOptions result;
  const std::string monitor = stop.text("monitor", data.validation.empty() ? "train.loss" : "validation.loss");
  result.monitor = check_monitor(monitor, stop.where("monitor") + "\"monitor\": ", data, metrics);
  result.patience = stop.integer("patience", 5, {.least = 0, .most = kMostCount});
  result.min_delta = stop.real("min_delta", 0.0, {.least = 0.0});
  const bool loss = monitor.substr(monitor.find('.') + 1) == "loss";
  result.larger_is_better = stop.choice("mode", {"min", "max"}, loss ? "min" : "max") == "max";
  result.restore_best = stop.boolean("restore_best", true);
  stop.finish();
  in.replace("early_stopping", stop.resolved());
  return result;
}

std::optional<LossScaling> read_loss_scaling(Section& in) {
  constexpr RealRange kRange{.least = 1e-30, .most = 1e38};
  in.resolve("loss_scale", Value::text("auto"));
  const Value& given = *in.resolved().find("loss_scale");
  const auto as_f32 = [](double scale) { return static_cast<double>(static_cast<float>(scale)); };
  if (given.is_number()) return LossScaling{.initial = as_f32(in.real("loss_scale", 1.0, kRange))};
  in.take("loss_scale");
  if (given.is_text() && given.as_text() == "auto") return {};
  if (!given.is_table())
    fail(ErrorKind::run_file, "{}\"loss_scale\": expected a number, {{ dynamic = 65536 }} or \"auto\", got {}", in.where("loss_scale"), given.describe());
  Section scale(given, "[train] loss_scale");
  scale.required("dynamic", "65536");
  LossScaling result{.initial = as_f32(scale.real("dynamic", LossScaling::kInitial, kRange)),
                     .growth_steps = scale.integer("growth_steps", LossScaling::kGrowthSteps, {.least = 1, .most = kMostCount})};
  scale.finish();
  in.replace("loss_scale", scale.resolved());
  return result;
}

std::optional<WeightsOptions> read_weights(Section& in) {
  const Value* given = in.optional("weights");
  if (!given) return {};
  Value table = *given;
  if (given->is_text()) {
    table = Value(Value::Data(Value::Table{}), given->place());
    table.set("file", *given);
  }
  Options options(table, "[train] weights");
  WeightsOptions result{.file = options.text("file"), .except = options.texts("except", std::vector<std::string>{})};
  options.finish();
  return result;
}

LogOptions read_log(Section& in) {
  Section log(in.table("log"), "[train] log");
  LogOptions result;
  result.every_steps = log.integer("every_steps", result.every_steps, {.least = 1, .most = kMostCount});
  result.tensorboard = log.boolean("tensorboard", result.tensorboard);
  result.progress = log.choice("progress", {"auto", "bar", "plain", "json", "off"}, result.progress);
  log.finish();
  in.replace("log", log.resolved());
  return result;
}

Value read_schedule(Section& in, const DataOptions& data, const std::vector<Value>& metrics) {
  in.resolve("schedule", Value::text("constant"));
  const Value* given = in.take("schedule");
  const Value schedule = given ? *given : Value::text("constant");
  if (schedule.is_array())
    fail(ErrorKind::run_file,
         "{}\"schedule\": expected one schedule, got a list; a warm-up names what follows it: "
         "{{ warm_up = 5, then = \"cosine\" }}",
         in.where("schedule"));
  const std::string monitor = make_plug_in<Schedule>(schedule)->monitor();
  if (!monitor.empty()) check_monitor(monitor, in.where("schedule") + "\"schedule\": ", data, metrics);
  return schedule;
}

}  // namespace

double LearningRateOptions::effective_peak(std::int64_t global_batch) const {
  const double ratio = static_cast<double>(global_batch) / static_cast<double>(at_batch);
  return scale == Scale::linear ? peak * ratio : scale == Scale::sqrt ? peak * std::sqrt(ratio) : peak;
}

double parse_duration(const Value& value, const std::string& where) {
  const double seconds = value.is_number() ? value.as_real() : value.is_text() ? seconds_of(value.as_text()) : -1.0;
  if (!(seconds > 0) || !std::isfinite(seconds))
    fail(ErrorKind::run_file, "{}expected seconds or a time such as \"1h30m\" or \"00:30:00\", got {}", where, value.describe());
  return seconds;
}

std::string check_monitor(const std::string& name, const std::string& where, const DataOptions& data, const std::vector<Value>& metrics) {
  const auto dot = name.find('.');
  const std::string set = name.substr(0, dot), metric = dot == std::string::npos ? "" : name.substr(dot + 1);
  if ((set != "train" && set != "validation") || metric.empty())
    fail(ErrorKind::run_file, "{}expected a metric such as \"validation.loss\" or \"train.loss\", got \"{}\"", where, name);
  if (set == "validation" && data.validation.empty())
    fail(ErrorKind::run_file, "{}\"{}\" needs a validation set: [data] has no \"validation\"", where, name);
  std::vector<std::string> known = {set + ".loss"};
  if (set == "validation")
    for (const Value& item : metrics) known.push_back(set + "." + metric_name(item));
  if (std::find(known.begin(), known.end(), name) == known.end())
    fail(ErrorKind::run_file, "{}no metric is called \"{}\"; known: {}", where, name, join(known));
  return name;
}

TrainOptions read_train(Section& in, const DataOptions& data) {
  TrainOptions train;
  read_length(in, train);
  train.loss = in.required("loss", "\"cross_entropy\"");
  plug_in_name<Loss>(train.loss, train.loss.place().text());
  train.metrics = read_metrics(in, data);
  train.optimizer = in.required("optimizer", "\"sgd\"");
  make_plug_in<Optimizer>(train.optimizer);
  train.learning_rate = read_learning_rate(in, data.global_batch);
  train.schedule = read_schedule(in, data, train.metrics);
  if (const Value* clip = in.optional("clip")) {
    make_plug_in<Clipping>(*clip);
    train.clip = *clip;
  }
  train.early_stopping = read_early_stopping(in, data, train.metrics);
  train.loss_scaling = read_loss_scaling(in);
  train.weights = read_weights(in);
  train.log = read_log(in);
  in.finish();
  return train;
}

}  // namespace lockstep
