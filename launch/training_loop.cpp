#include "launch/training_loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point start, Clock::time_point end) { return std::chrono::duration<double>(end - start).count(); }

}  // namespace

Outcome TrainingLoop::run() {
  RunState& state = parts_.state;
  const auto begin = Clock::now();
  const std::int64_t last = settings_.stop_at_step > 0 ? std::min(settings_.stop_at_step, total_steps()) : total_steps();
  LoopRequest at_once;
  for (Callback* callback : state.callbacks) callback->on_run_begin(at_once);
  if (at_once.stop) return Outcome::finished;
  const std::vector<void*> carried = on_device(state.carried);
  double input_seconds = state.step < last ? bring(position()) : 0.0;
  while (state.step < last) {
    const auto start = Clock::now();
    const BatchPosition at = position();
    const StepBlock block = step_block(at);
    parts_.step.start(block, carried);
    const double waited = input_seconds;
    // While the device works on this batch the next one travels, and the ranks hear who was asked to stop.
    const auto next = after(at);
    input_seconds = next && state.step + 1 < last ? bring(*next) : 0.0;
    const bool out_of_time = settings_.max_seconds > 0 && seconds_between(begin, Clock::now()) > settings_.max_seconds;
    const bool interrupted = agree(parts_.stop_requested() || out_of_time);
    const StepResult result = parts_.step.finish();
    move_loss_scale(result);
    advance(at, result);

    const bool epoch_ends = state.epoch_position == parts_.source.samples();
    StepInfo info{.step = state.step, .total_steps = total_steps(), .epoch = at.epoch, .epoch_step = at.first / settings_.global_batch + 1,
                  .steps_per_epoch = steps_per_epoch(), .samples = at.samples, .loss = result.loss, .learning_rate = block.learning_rate,
                  .momentum = block.momentum, .gradient_norm = result.gradient_norm, .step_seconds = seconds_between(start, Clock::now()),
                  .input_seconds = waited, .updated = result.updated, .loss_scale = block.loss_scale};
    epoch_seconds_ += info.step_seconds;
    fresh_.clear();
    LoopRequest request;
    for (Callback* callback : state.callbacks) callback->on_step_end(info, request);
    if (epoch_ends) finish_epoch(request);
    if (request.restore_best) parts_.restore_best();
    if (request.save || request.stop || interrupted || state.step == last || save_is_due(epoch_ends)) parts_.save(fresh_);
    if (request.stop) return Outcome::finished;
    if (interrupted && state.step < total_steps()) return Outcome::interrupted;
  }
  return last < total_steps() ? Outcome::reached_steps : Outcome::finished;
}

/// Gets a batch and starts to bring it to the device; the seconds that took.
double TrainingLoop::bring(const BatchPosition& at) {
  const auto start = Clock::now();
  parts_.step.stage(parts_.source.batch(at, after(at)));
  return seconds_between(start, Clock::now());
}

std::int64_t TrainingLoop::steps_per_epoch() const {
  return (parts_.source.samples() + settings_.global_batch - 1) / settings_.global_batch;
}

BatchPosition TrainingLoop::position() const {
  const RunState& state = parts_.state;
  return {.epoch = state.epoch, .first = state.epoch_position, .samples = std::min(settings_.global_batch, parts_.source.samples() - state.epoch_position)};
}

std::optional<BatchPosition> TrainingLoop::after(const BatchPosition& at) const {
  const std::int64_t samples = parts_.source.samples(), first = at.first + at.samples;
  if (first < samples) return BatchPosition{.epoch = at.epoch, .first = first, .samples = std::min(settings_.global_batch, samples - first)};
  if (at.epoch + 1 >= settings_.epochs) return {};
  return BatchPosition{.epoch = at.epoch + 1, .first = 0, .samples = std::min(settings_.global_batch, samples)};
}

StepBlock TrainingLoop::step_block(const BatchPosition& at) const {
  const RunState& state = parts_.state;
  const Progress progress{.step = state.step, .total_steps = total_steps(), .steps_per_epoch = steps_per_epoch()};
  return {.seed = static_cast<std::uint64_t>(state.seed),
          .step = state.step,
          .updates = state.updates + 1,
          .epoch = at.epoch,
          .epoch_position = at.first,
          .batch_samples = at.samples,
          .learning_rate = static_cast<float>(settings_.peak_learning_rate * state.schedule.factor(progress)),
          .momentum = static_cast<float>(state.schedule.momentum(progress).value_or(settings_.momentum)),
          .loss_scale = loss_scale()};
}

float TrainingLoop::loss_scale() const {
  return static_cast<float>(settings_.loss_scaling.dynamic() ? parts_.state.loss_scale : settings_.loss_scaling.initial);
}

/// A smaller scale can repair gradients. The loss it does not touch: that is not finite for other reasons.
void TrainingLoop::move_loss_scale(const StepResult& result) {
  RunState& state = parts_.state;
  if (!settings_.loss_scaling.dynamic()) return;
  if (!std::isfinite(result.loss))
    fail(ErrorKind::internal, "step {}: the loss is {}: the run diverged; lower the learning rate or clip, and resume from the last checkpoint",
         state.step + 1, result.loss);
  const LossScale moved = next(settings_.loss_scaling, {.scale = state.loss_scale, .streak = state.loss_scale_streak.value_or(0)}, result.updated);
  if (is_lost(moved))
    fail(ErrorKind::internal, "step {}: the gradient's norm is {} at a loss scale of {}, and {} steps in a row were skipped: the run diverged; "
         "lower the learning rate or train in bf16, and resume from the last checkpoint",
         state.step + 1, result.gradient_norm, state.loss_scale, -moved.streak);
  state.loss_scale = moved.scale;
  state.loss_scale_streak = moved.streak;
}

void TrainingLoop::advance(const BatchPosition& at, const StepResult& result) {
  RunState& state = parts_.state;
  state.step += 1;
  state.updates += result.updated ? 1 : 0;
  state.epoch_position += at.samples;
  state.epoch_loss_sum += result.loss_sum;
  state.epoch_weight_sum += result.weight_sum;
}

void TrainingLoop::finish_epoch(LoopRequest& request) {
  RunState& state = parts_.state;
  const bool evaluates = parts_.evaluate && (state.epoch + 1) % settings_.evaluate_every_epochs == 0;
  metrics_ = evaluates ? parts_.evaluate() : Metrics{};
  metrics_["train.loss"] = state.epoch_weight_sum > 0 ? state.epoch_loss_sum / state.epoch_weight_sum : 0.0;
  fresh_ = metrics_;
  const EpochInfo info{.step = state.step, .total_steps = total_steps(), .epoch = state.epoch, .metrics = metrics_, .seconds = epoch_seconds_,
                       .samples = parts_.source.samples()};
  state.schedule.observe(metrics_);
  state.epoch += 1;
  state.epoch_position = 0;
  state.epoch_loss_sum = state.epoch_weight_sum = 0;
  epoch_seconds_ = 0;
  for (Callback* callback : state.callbacks) callback->on_epoch_end(info, request);
}

/// True when any rank says so: a signal may reach one rank alone, and clocks differ.
bool TrainingLoop::agree(bool mine) {
  double votes = mine ? 1.0 : 0.0;
  parts_.ranks.all_reduce_sum(&votes, 1);
  return votes > 0;
}

bool TrainingLoop::save_is_due(bool epoch_ended) const {
  const RunState& state = parts_.state;
  if (settings_.save_every_steps > 0 && state.step % settings_.save_every_steps == 0) return true;
  if (fresh_.contains(settings_.save_with)) return true;
  return epoch_ended && settings_.save_every_epochs > 0 && state.epoch % settings_.save_every_epochs == 0;
}

}  // namespace lockstep
