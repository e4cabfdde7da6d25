#include "core/train/evaluator.h"

#include <algorithm>
#include <cstring>

#include "core/train/run_state.h"

namespace lockstep {

Evaluator::Evaluator(std::shared_ptr<const Plan> plan, Backend& backend, RunMode mode, RankShare share, StatisticsReducer& statistics)
    : plan_(std::move(plan)),
      carried_(make_carried(*plan_, share.lanes.count() * plan_->lane_rows())),
      program_(plan_, Program::Kind::evaluation, backend, mode, share, statistics, nullptr) {}

void Evaluator::each_batch(BatchSource& source, ParameterView weights, std::vector<Tensor>& states,
                           const std::function<void(const BatchSlot&)>& after) {
  for (Tensor& tensor : carried_)
    if (tensor.view().data) std::memset(tensor.view().data, 0, tensor.spec().bytes());
  const std::int64_t samples = source.samples(), batch = plan_->options.global_batch;
  const auto position = [&](std::int64_t first) { return BatchPosition{.epoch = 0, .first = first, .samples = std::min(batch, samples - first)}; };
  for (std::int64_t first = 0; first < samples; first += batch) {
    const std::int64_t following = first + batch;
    const auto next = following < samples ? std::optional(position(following)) : std::nullopt;
    const BatchSlot& slot = source.batch(position(first), next);
    const StepBlock step{.epoch_position = first, .batch_samples = slot.position.samples};
    program_.run(step, slot, weights, states, carried_, nullptr);
    after(slot);
  }
}

std::map<std::string, double> Evaluator::run(BatchSource& source, ParameterView weights, std::vector<Tensor>& states) {
  std::map<int, std::vector<double>> totals;
  std::vector<int> indices = plan_->loss_statistics;
  indices.insert(indices.end(), plan_->metric_statistics.begin(), plan_->metric_statistics.end());
  each_batch(source, weights, states, [&](const BatchSlot&) {
    for (const int index : indices) {
      const auto batch = program_.statistic(index);
      auto& total = totals.try_emplace(index, batch.size(), 0.0).first->second;
      for (std::size_t i = 0; i < batch.size(); ++i) total[i] += batch[i];
    }
  });
  std::map<std::string, double> result;
  double loss = 0;
  for (const int index : plan_->loss_statistics)
    if (const auto& total = totals[index]; total.size() > 1 && total[1] > 0) loss += total[0] / total[1];
  result["loss"] = loss;
  for (std::size_t m = 0; m < plan_->metrics.size(); ++m) {
    const GraphNode& node = plan_->graph->nodes()[static_cast<std::size_t>(plan_->metrics[m])];
    result[node.name] = static_cast<const Metric&>(*node.layer).value(totals[plan_->metric_statistics[m]]);
  }
  return result;
}

void Evaluator::predict(BatchSource& source, ParameterView weights, std::vector<Tensor>& states, const TakeOutput& take) {
  each_batch(source, weights, states, [&](const BatchSlot& slot) { take(slot, program_.output()); });
}

}  // namespace lockstep
