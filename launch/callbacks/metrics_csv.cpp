#include "launch/callbacks/metrics_csv.h"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "core/base/text.h"

namespace lockstep {
namespace {

using Row = std::map<std::string, std::string>;

std::optional<std::int64_t> step_of(std::string_view line) {
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), step);
  if (error != std::errc() || end == line.data() + line.size() || *end != ',') return {};
  return step;
}

std::vector<std::string> wanted_columns(const std::vector<std::string>& metrics) {
  std::vector<std::string> columns = {"step", "epoch", "event", "loss", "learning_rate", "momentum", "gradient_norm", "samples", "updated", "loss_scale"};
  columns.insert(columns.end(), metrics.begin(), metrics.end());
  columns.insert(columns.end(), {"seconds", "input_seconds"});
  return columns;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> parts(1);
  for (const char c : line) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::string line_of(const std::vector<std::string>& columns, const Row& row) {
  std::vector<std::string> cells;
  for (const std::string& column : columns) {
    const auto found = row.find(column);
    cells.push_back(found == row.end() ? "" : found->second);
  }
  return join(cells, ",");
}

template <class Number>
std::string cell(Number value) {
  // The sign of what is no number says nothing, and may depend on the order in which ranks add.
  return value != value ? "nan" : fmt::format("{}", value);
}

}  // namespace

MetricsCsv::MetricsCsv(Options options)
    : options_(std::move(options)), file_(options_.path, options_.resumed_step, options_.resumed_step > 0 ? 1 : 0, step_of) {
  options_.every_steps = std::max<std::int64_t>(options_.every_steps, 1);
  // A file's header cannot grow: a resumed one keeps its columns.
  columns_ = file_.first_line().empty() ? wanted_columns(options_.metrics) : split(file_.first_line());
  if (file_.first_line().empty()) file_.add(join(columns_, ","));
}

void MetricsCsv::on_step_end(const StepInfo& info, LoopRequest&) {
  if (info.step % options_.every_steps != 0) return;
  file_.add(line_of(columns_, {{"step", cell(info.step)},
                               {"epoch", cell(info.epoch)},
                               {"event", "step"},
                               {"loss", cell(info.loss)},
                               {"learning_rate", cell(info.learning_rate)},
                               {"momentum", cell(info.momentum)},
                               {"gradient_norm", cell(info.gradient_norm)},
                               {"samples", cell(info.samples)},
                               {"updated", info.updated ? "1" : "0"},
                               {"loss_scale", cell(info.loss_scale)},
                               {"seconds", cell(info.step_seconds)},
                               {"input_seconds", cell(info.input_seconds)}}));
}

void MetricsCsv::on_epoch_end(const EpochInfo& info, LoopRequest&) {
  Row row = {{"step", cell(info.step)},
             {"epoch", cell(info.epoch)},
             {"event", "epoch"},
             {"samples", cell(info.samples)},
             {"seconds", cell(info.seconds)}};
  for (const auto& [name, value] : info.metrics) row.emplace(name, cell(value));
  file_.add(line_of(columns_, row));
}

}  // namespace lockstep
