#include "core/train/evaluator.h"

#include <algorithm>

#include "core/train/run_state.h"

namespace lockstep {

Evaluator::Evaluator(std::shared_ptr<const Plan> plan, Backend& backend, RunMode mode, RankShare share, StatisticsReducer& statistics)
    : plan_(std::move(plan)),
      device_(backend.device()),
      carried_(make_carried(*plan_, share.lanes.count() * plan_->lane_rows(), device_)),
      program_(Program::bind({.plan = plan_, .kind = Program::Kind::evaluation, .backend = backend, .mode = mode, .share = share, .statistics = statistics})),
      recorder_(device_) {}

void Evaluator::each_batch(BatchSource& source, ParameterView weights, std::span<void* const> states,
                           const std::function<void(const BatchSlot&)>& after) {
  const StreamView main = device_.stream(Queue::kMain);
  for (const MirroredTensor& tensor : carried_)
    if (tensor.device()) device_.zero(tensor.device(), tensor.spec().bytes(), main);
  const std::vector<void*> carried = on_device(carried_);
  const ProgramMemory memory{.weights = weights, .states = states, .carried = carried};
  const std::int64_t samples = source.samples(), batch = plan_->options.global_batch;
  const auto position = [&](std::int64_t first) { return BatchPosition{.epoch = 0, .first = first, .samples = std::min(batch, samples - first)}; };
  for (std::int64_t first = 0; first < samples; first += batch) {
    const std::int64_t following = first + batch;
    const auto next = following < samples ? std::optional(position(following)) : std::nullopt;
    const BatchSlot& slot = source.batch(position(first), next);
    const StepBlock step{.epoch_position = first, .batch_samples = slot.position.samples};
    program_->stage(slot);
    program_->begin(step, memory);
    recorder_.run(program_->signature(memory), [&] { program_->queue(memory); });
    std::int64_t fault = 0;
    if (program_->fault()) device_.copy(&fault, program_->fault(), sizeof(fault), main);
    device_.wait(main);
    if (fault > 0) fail(ErrorKind::content, "evaluation: sample {}: a label outside the classes of the model", first + fault - 1);
    after(slot);
  }
}

std::map<std::string, double> Evaluator::run(BatchSource& source, ParameterView weights, std::span<void* const> states) {
  std::map<int, std::vector<double>> totals;
  std::vector<int> indices = plan_->loss_statistics;
  indices.insert(indices.end(), plan_->metric_statistics.begin(), plan_->metric_statistics.end());
  each_batch(source, weights, states, [&](const BatchSlot&) {
    for (const int index : indices) {
      const auto batch = program_->statistic(index);
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

void Evaluator::predict(BatchSource& source, ParameterView weights, std::span<void* const> states, const TakeOutput& take) {
  each_batch(source, weights, states, [&](const BatchSlot& slot) { take(slot, program_->output()); });
}

}  // namespace lockstep
