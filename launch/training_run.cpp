#include "launch/training_run.h"

#include <fmt/format.h>

#include <filesystem>
#include <ostream>

#include "core/base/text.h"
#include "core/model/state_digest.h"
#include "core/train/evaluator.h"
#include "distributed/agree.h"
#include "distributed/start_up.h"
#include "io/atomic_file.h"
#include "io/checkpoint_store.h"
#include "io/snapshot_writer.h"
#include "io/weights_file.h"
#include "launch/kernel_agreement.h"
#include "launch/profile.h"
#include "launch/run_callbacks.h"
#include "launch/run_directory.h"
#include "launch/run_file.h"
#include "launch/resolved_run.h"
#include "launch/resume_overrides.h"
#include "launch/training_setup.h"
#include "launch/version.h"

namespace lockstep {
namespace {

constexpr std::size_t kMostEngineBytes = std::size_t{16} << 20;

CheckpointPolicy checkpoint_policy(const RunConfig& config) {
  CheckpointPolicy policy{.keep = config.checkpoint.keep, .best = config.checkpoint.best};
  const auto& stopping = config.train.early_stopping;
  if (stopping && stopping->restore_best) policy.best = stopping->monitor;
  policy.larger_is_better = stopping && policy.best == stopping->monitor ? stopping->larger_is_better : !policy.best.ends_with("loss");
  return policy;
}

LoopSettings loop_settings(const RunConfig& config, const Optimizer& optimizer, const LossScaling& scaling) {
  return {.epochs = config.train.epochs,
          .stop_at_step = config.train.steps,
          .max_seconds = config.train.max_seconds,
          .save_every_steps = config.checkpoint.every_steps,
          .save_every_epochs = config.checkpoint.every_epochs,
          .save_with = checkpoint_policy(config).best,
          .evaluate_every_epochs = config.evaluate.every_epochs,
          .peak_learning_rate = config.train.learning_rate.effective_peak(config.data.global_batch),
          .momentum = optimizer.momentum(),
          .global_batch = config.data.global_batch,
          .loss_scaling = scaling};
}

/// Reads a checkpoint's state into the run's. One of a run without a dynamic loss scale leaves the run's own, and the other
/// way round: a run that diverged in f16 may go on in bf16.
CheckpointMeta load_state(const std::string& path, RunState& state, const VisitState& visit) {
  Checkpoint checkpoint = read_checkpoint(path);
  const auto scale = state.loss_scale;
  const auto streak = state.loss_scale_streak;
  state.loss_scale_streak.reset();
  if (checkpoint.state.find("run/loss_scale_streak")) state.loss_scale_streak = 0;
  checkpoint.state.restore(visit, "\"" + path + "\"");
  if (state.loss_scale_streak.has_value() != streak.has_value()) state.loss_scale = scale, state.loss_scale_streak = streak;
  return std::move(checkpoint.meta);
}

/// `train` with `run.if_exists = "resume"` brings a run file of its own, `resume` overrides: either may differ from what the run began with.
void require_same_trajectory_as(const std::string& run_file, const RunConfig& config) {
  if (!std::filesystem::exists(run_file)) return;
  const RunConfig before = read_run_config(read_run_file(run_file), run_file);
  require_same_trajectory(before, read_run_config(parse_run_text(resolved_run_text(config), run_file), run_file));
}

/// A run on this rank: everything is made in the order of the members.
class TrainingRun {
 public:
  TrainingRun(const TrainingRequest& request, Communicator& ranks, std::ostream& out);
  TrainingReport run();

 private:
  bool is_root() const { return ranks_.rank() == 0; }
  void open_directory();
  void resume();
  void take_weights();
  void save(const TrainingLoop::Metrics& metrics);
  void restore_best();
  TrainingReport run_loop();
  void write_directory();
  void describe();
  void test(TrainingLoop::Metrics& metrics);
  void leave_devices();
  void give_up_devices();
  void record(RunPhase phase, int code = 0, const std::string& message = "");
  CheckpointMeta meta(const TrainingLoop::Metrics& metrics) const;
  VisitState gathered();

  const TrainingRequest& request_;
  const RunConfig& config_;
  Communicator& ranks_;
  Engine engine_;
  RunPaths paths_;
  std::unique_ptr<RunDirectory> directory_;  ///< rank 0 alone
  bool resume_ = false;
  TrainingSetup setup_;
  RunState& state_;
  std::unique_ptr<Loader> validation_;
  std::unique_ptr<Evaluator> evaluator_;
  CheckpointStore checkpoints_;
  SnapshotWriter writer_;
  RunCallbacks callbacks_;
  TrainingLoop loop_;
};

}  // namespace

TrainingReport run_training(const TrainingRequest& request, Communicator& ranks, std::ostream& out) {
  return TrainingRun(request, ranks, out).run();
}

namespace {

TrainingRun::TrainingRun(const TrainingRequest& request, Communicator& ranks, std::ostream& out)
    : request_(request),
      config_(request.config),
      ranks_(ranks),
      engine_(make_engine(config_.run, ranks)),
      paths_{config_.run.directory},
      setup_(config_, (open_directory(), load_run_data(config_)), engine_, ranks),
      state_(setup_.state),
      checkpoints_(paths_.checkpoints(), checkpoint_policy(config_)),
      writer_([this](const CheckpointMeta& about, const Snapshot& copy) { checkpoints_.save(about, copy); }),
      callbacks_({.config = config_, .paths = paths_, .root = ranks.rank() == 0, .progress = request.progress, .out = out}),
      loop_(loop_settings(config_, *setup_.recipe.optimizer, setup_.scaling),
            {.source = *setup_.training, .step = setup_.step, .state = state_, .ranks = ranks, .evaluate = {},
             .save = [this](const TrainingLoop::Metrics& metrics) { save(metrics); }, .restore_best = [this] { restore_best(); },
             .stop_requested = request.stop_requested}) {
  if (setup_.data.validation) {
    validation_ = evaluation_loader(*setup_.data.validation, *setup_.plan, engine_);
    evaluator_ = std::make_unique<Evaluator>(setup_.plan, *engine_.backend, engine_.mode, engine_.share, *engine_.statistics);
    loop_.evaluate_with([this] {
      TrainingLoop::Metrics result;
      for (const auto& [name, value] : evaluator_->run(*validation_, setup_.store.view(), setup_.store.device_states())) result["validation." + name] = value;
      return result;
    });
  }
  if (!request.profile) return;
  setup_.step.profile(&setup_.profile);
  setup_.step.record(false);  // so that a profiler's ranges hold the kernels
}

/// Rank 0 alone touches the directory; what it finds all ranks hear.
void TrainingRun::open_directory() {
  std::string engines;
  agree_on(ranks_, [&] {
    if (!is_root()) return;
    const bool may_resume = request_.resume || config_.run.if_exists == RunOptions::IfExists::resume;
    directory_ = std::make_unique<RunDirectory>(paths_.directory, may_resume ? IfExists::resume : IfExists::error);
    resume_ = directory_->holds_run();
    if (resume_ && !request_.change_trajectory) require_same_trajectory_as(paths_.run_file(), config_);
    if (resume_ && std::filesystem::exists(paths_.engines())) engines = read_text(paths_.engines(), kMostEngineBytes);
  });
  std::uint8_t resume = resume_ ? 1 : 0;
  ranks_.broadcast(&resume, 1, 0);
  resume_ = resume != 0;
  if (resume_) agree_on_kernels(*engine_.backend, ranks_, engines);
}

VisitState TrainingRun::gathered() { return gathered_state(state_, ranks_); }

void TrainingRun::resume() {
  std::string path, note;
  agree_on(ranks_, [&] {
    if (!is_root() || !resume_) return;
    const auto found = checkpoints_.find_latest();
    if (!found) return;
    checkpoints_.finish_save(*found);
    path = found->path, note = found->note;
  });
  path = broadcast_text(ranks_, path);
  if (path.empty()) return take_weights();
  const CheckpointMeta about = load_state(path, state_, gathered());
  state_.commit();
  if (!is_root()) return;
  if (!note.empty()) callbacks_.note(note);
  if (const std::string now = fingerprint_of(*engine_.backend); about.fingerprint != now)
    callbacks_.note(fmt::format("resume: saved on \"{}\", now on \"{}\": equal to rounding, not in bits", about.fingerprint, now));
  callbacks_.note(fmt::format("resume: from step {} of {} ({})", format_count(state_.step), format_count(loop_.total_steps()), path));
}

/// A run that begins takes the weights of its file; one that goes on has them in its checkpoint.
void TrainingRun::take_weights() {
  if (!config_.train.weights) return;
  const std::string path = absolute_path(config_, config_.train.weights->file);
  const VisitState weights = [this](StateVisitor& visitor) { setup_.store.visit_weights(visitor); };
  std::vector<std::string> kept;
  agree_on(ranks_, [&] { kept = read_weights(path, config_.train.weights->except, weights); });
  setup_.store.commit();
  compare_facts(ranks_, {{.name = "weights", .value = state_digest(weights), .kind = ErrorKind::content, .remedy = "every node must see the same file"}});
  if (is_root()) callbacks_.note("weights: from " + path + (kept.empty() ? "" : ", except " + join(kept)));
}

CheckpointMeta TrainingRun::meta(const TrainingLoop::Metrics& metrics) const {
  return {.step = state_.step, .epoch = state_.epoch, .created_by = version_line(), .fingerprint = fingerprint_of(*engine_.backend),
          .run_file = resolved_run_text(config_), .metrics = metrics};
}

/// Gathering is collective; rank 0 alone writes, behind training.
void TrainingRun::save(const TrainingLoop::Metrics& metrics) {
  if (is_root()) {
    writer_.save(meta(metrics), gathered());
    record(RunPhase::running);
  } else {
    DigestVisitor unused;
    gathered()(unused);
  }
}

void TrainingRun::restore_best() {
  if (is_root()) writer_.wait();
  const std::string path = broadcast_text(ranks_, is_root() ? checkpoints_.best_path().value_or("") : "");
  if (path.empty()) return;
  load_checkpoint(path, [this](StateVisitor& visitor) { setup_.store.visit_weights(visitor); }, SnapshotMatch::subset);
  setup_.store.commit();
  if (is_root()) callbacks_.note(fmt::format("early stopping: the best weights are back ({})", path));
}

/// What a resumed run needs beside a checkpoint.
void TrainingRun::write_directory() {
  write_resolved_run(paths_, config_);
  if (const KernelChoices* choices = engine_.backend->choices()) commit_text(paths_.engines(), choices->used());
}

void TrainingRun::record(RunPhase phase, int code, const std::string& message) {
  if (directory_)
    write_record(paths_, {.phase = phase, .step = state_.step, .total_steps = loop_.total_steps(), .epoch = state_.epoch, .exit_code = code, .message = message});
}

void TrainingRun::describe() {
  if (!request_.overrides.empty()) callbacks_.note("overrides: " + request_.overrides);
  callbacks_.note(describe_ranks(engine_, ranks_, setup_.plan->options.precision));
  for (const std::string& note : engine_.notes) callbacks_.note(note);
  callbacks_.note(fmt::format("{} parameters, {} training samples, global batch {} in {} lanes, {} steps", format_count(setup_.plan->parameter_elements()),
                              format_count(setup_.data.train.samples()), format_count(config_.data.global_batch), config_.run.lanes,
                              format_count(loop_.total_steps())));
}

TrainingReport TrainingRun::run() {
  try {
    return run_loop();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::stopped) record(RunPhase::failed, static_cast<int>(error.kind()), error.what());
    give_up_devices();
    throw;
  }
}

/// The test set is seen once, at the end, by the weights that the run leaves.
void TrainingRun::test(TrainingLoop::Metrics& metrics) {
  if (config_.data.test.empty()) return;
  const Dataset dataset = Dataset::load(config_.data, config_.data.test, setup_.data.train.scalers());
  const auto loader = evaluation_loader(dataset, *setup_.plan, engine_);
  Evaluator evaluator(setup_.plan, *engine_.backend, engine_.mode, engine_.share, *engine_.statistics);
  for (const auto& [name, value] : evaluator.run(*loader, setup_.store.view(), setup_.store.device_states())) metrics["test." + name] = value;
}

TrainingReport TrainingRun::run_loop() {
  state_.callbacks = callbacks_.list();
  for (std::string& note : settle_kernels(*engine_.backend, ranks_)) engine_.notes.push_back(std::move(note));
  resume();
  callbacks_.begin(state_.step);
  state_.callbacks = callbacks_.list();
  if (is_root()) write_directory();
  describe();
  record(RunPhase::running);
  TrainingReport report{.outcome = loop_.run()};
  agree_on(ranks_, [&] {
    if (is_root()) writer_.wait();
  });
  report.step = state_.step;
  report.digest = state_digest(gathered());
  report.metrics = loop_.metrics();
  if (report.outcome == Outcome::finished) test(report.metrics);
  if (request_.profile) report.profile = describe_profile(setup_.profile.entries(), setup_.profile.steps());
  record(report.outcome == Outcome::finished ? RunPhase::done : RunPhase::stopped);
  callbacks_.end(report.outcome == Outcome::finished ? "done" : "stopped");
  if (is_root() && engine_.backend->choices()) engine_.backend->choices()->keep();  // what short batches needed
  leave_devices();
  return report;
}

/// Ranks that meet on devices part when nothing that was recorded can speak any more.
void TrainingRun::leave_devices() {
  if (!engine_.device_ranks) return;
  setup_.step.forget_recordings();
  evaluator_.reset();
  engine_.device_ranks->close();
}

/// A collective that waits for a rank which is gone would keep the device busy, and memory is given back by an idle one alone.
void TrainingRun::give_up_devices() {
  if (!engine_.device_ranks) return;
  setup_.step.forget_recordings();
  if (evaluator_) evaluator_->forget_recordings();
  engine_.device_ranks->abort();
}

}  // namespace
}  // namespace lockstep
