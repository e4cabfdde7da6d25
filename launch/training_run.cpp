#include "launch/training_run.h"

#include <fmt/format.h>

#include <filesystem>
#include <ostream>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/model/state_digest.h"
#include "core/train/evaluator.h"
#include "distributed/agree.h"
#include "distributed/gathering_visitor.h"
#include "distributed/start_up.h"
#include "io/checkpoint_store.h"
#include "io/snapshot_writer.h"
#include "launch/engine.h"
#include "launch/model_setup.h"
#include "launch/profile.h"
#include "launch/run_callbacks.h"
#include "launch/run_data.h"
#include "launch/run_directory.h"
#include "launch/run_file.h"
#include "launch/resolved_run.h"
#include "launch/resume_overrides.h"
#include "launch/version.h"

namespace lockstep {
namespace {

/// Plug-ins of the training side, made from the run file.
struct Recipe {
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;
  std::unique_ptr<Clipping> clipping;
};

Recipe make_recipe(const TrainOptions& train) {
  Recipe recipe{.optimizer = make_plug_in<Optimizer>(train.optimizer), .schedule = make_plug_in<Schedule>(train.schedule)};
  if (train.clip) recipe.clipping = make_plug_in<Clipping>(*train.clip);
  return recipe;
}

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

/// What must agree on all ranks, and what decides the bits.
std::vector<StartUpFact> start_up_facts(const RunConfig& config, const RunData& data, const Plan& plan, const Backend& backend) {
  const auto digest = [](const std::string& text) { return digest_hex(text.data(), text.size()); };
  return {{.name = "program", .value = version_line(), .remedy = "start the same program on every node"},
          {.name = "run file", .value = digest(resolved_run_text(config)), .remedy = "start all ranks with the same run file and overrides"},
          {.name = "model", .value = digest(describe_plan(plan))},
          {.name = "data", .value = data.train.digest() + (data.validation ? " " + data.validation->digest() : ""), .kind = ErrorKind::content,
           .remedy = "every node must see the same files"},
          {.name = "numerics", .value = backend.describe(),
           .remedy = "use nodes of one kind, or set ONEDNN_MAX_CPU_ISA to what all have"}};
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
  void save(const TrainingLoop::Metrics& metrics);
  void restore_best();
  TrainingReport run_loop();
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
  RunData data_;
  std::shared_ptr<const Plan> plan_;  // shared with programs and store
  LossScaling scaling_;
  Recipe recipe_;
  ParameterStore store_;
  Profile profile_;
  TrainingStep step_;
  std::unique_ptr<Loader> training_, validation_;
  std::unique_ptr<Evaluator> evaluator_;
  RunState state_;
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
      data_((open_directory(), load_run_data(config_))),
      plan_(compile_model(config_, data_.train.batch_fields(activation_dtype(choose_precision(config_.run, *engine_.backend))),
                          choose_precision(config_.run, *engine_.backend))),
      scaling_(choose_loss_scaling(config_.train, plan_->options.precision)),
      recipe_(make_recipe(config_.train)),
      store_((compare_facts(ranks, start_up_facts(config_, data_, *plan_, *engine_.backend)), plan_), static_cast<std::uint64_t>(config_.run.seed),
             recipe_.optimizer->slots(), engine_.backend->device()),
      profile_(engine_.backend->device()),
      step_({.plan = plan_, .backend = *engine_.backend, .mode = engine_.mode, .share = engine_.share, .statistics = *engine_.statistics,
             .gradients = *engine_.gradients, .optimizer = *recipe_.optimizer, .clipping = recipe_.clipping.get(), .store = store_,
             .overflow = scaling_.dynamic() ? TrainingStep::Overflow::is_skipped : TrainingStep::Overflow::fails}),
      training_(training_loader(data_, config_, *plan_, engine_)),
      state_{.store = store_, .schedule = *recipe_.schedule, .callbacks = {}, .seed = config_.run.seed, .fitted = fitted_numbers(data_.train),
             .carried = make_carried(*plan_, engine_.share.lanes.count() * plan_->lane_rows(), engine_.backend->device()),
             .first_row = engine_.share.lanes.first * plan_->lane_rows(), .total_rows = plan_->options.lanes * plan_->lane_rows()},
      checkpoints_(paths_.checkpoints(), checkpoint_policy(config_)),
      writer_([this](const CheckpointMeta& about, const Snapshot& copy) { checkpoints_.save(about, copy); }),
      callbacks_({.config = config_, .paths = paths_, .root = ranks.rank() == 0, .progress = request.progress, .out = out}),
      loop_(loop_settings(config_, *recipe_.optimizer, scaling_),
            {.source = *training_, .step = step_, .state = state_, .ranks = ranks, .evaluate = {},
             .save = [this](const TrainingLoop::Metrics& metrics) { save(metrics); }, .restore_best = [this] { restore_best(); },
             .stop_requested = request.stop_requested}) {
  if (data_.validation) {
    validation_ = evaluation_loader(*data_.validation, *plan_, engine_);
    evaluator_ = std::make_unique<Evaluator>(plan_, *engine_.backend, engine_.mode, engine_.share, *engine_.statistics);
    loop_.evaluate_with([this] {
      TrainingLoop::Metrics result;
      for (const auto& [name, value] : evaluator_->run(*validation_, store_.view(), store_.device_states())) result["validation." + name] = value;
      return result;
    });
  }
  if (!request.profile) return;
  step_.profile(&profile_);
  step_.record(false);  // so that a profiler's ranges hold the kernels
}

/// Rank 0 alone touches the directory; what it finds all ranks hear.
void TrainingRun::open_directory() {
  agree_on(ranks_, [&] {
    if (!is_root()) return;
    const bool may_resume = request_.resume || config_.run.if_exists == RunOptions::IfExists::resume;
    directory_ = std::make_unique<RunDirectory>(paths_.directory, may_resume ? IfExists::resume : IfExists::error);
    resume_ = directory_->holds_run();
    if (resume_ && !request_.change_trajectory) require_same_trajectory_as(paths_.run_file(), config_);
  });
  std::uint8_t resume = resume_ ? 1 : 0;
  ranks_.broadcast(&resume, 1, 0);
  resume_ = resume != 0;
}

VisitState TrainingRun::gathered() {
  return [this](StateVisitor& visitor) {
    GatheringVisitor whole(ranks_, visitor);
    state_.visit(whole);
  };
}

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
  if (path.empty()) return;
  const CheckpointMeta about = load_state(path, state_, gathered());
  state_.commit();
  if (!is_root()) return;
  if (!note.empty()) callbacks_.note(note);
  if (about.fingerprint != engine_.backend->describe())
    callbacks_.note(fmt::format("resume: saved on \"{}\", now on \"{}\": equal to rounding, not in bits", about.fingerprint, engine_.backend->describe()));
  callbacks_.note(fmt::format("resume: from step {} of {} ({})", format_count(state_.step), format_count(loop_.total_steps()), path));
}

CheckpointMeta TrainingRun::meta(const TrainingLoop::Metrics& metrics) const {
  return {.step = state_.step, .epoch = state_.epoch, .created_by = version_line(), .fingerprint = engine_.backend->describe(),
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
  load_checkpoint(path, [this](StateVisitor& visitor) { store_.visit_weights(visitor); }, SnapshotMatch::subset);
  store_.commit();
  if (is_root()) callbacks_.note(fmt::format("early stopping: the best weights are back ({})", path));
}

void TrainingRun::record(RunPhase phase, int code, const std::string& message) {
  if (directory_)
    write_record(paths_, {.phase = phase, .step = state_.step, .total_steps = loop_.total_steps(), .epoch = state_.epoch, .exit_code = code, .message = message});
}

void TrainingRun::describe() {
  if (!request_.overrides.empty()) callbacks_.note("overrides: " + request_.overrides);
  const auto device = engine_.backend->identity();
  const int workers = engine_.backend->workers();
  const std::string each = device ? "on " + device->name : fmt::format("of {} thread{}", workers, workers == 1 ? "" : "s");
  callbacks_.note(fmt::format("{} rank{} {} ({}), {}, {} mode, {}", ranks_.size(), ranks_.size() == 1 ? "" : "s", each, ranks_.describe(),
                              engine_.backend->describe(), engine_.mode == RunMode::exact ? "exact" : "fast", name_of(plan_->options.precision)));
  for (const std::string& note : engine_.notes) callbacks_.note(note);
  callbacks_.note(fmt::format("{} parameters, {} training samples, global batch {} in {} lanes, {} steps", format_count(plan_->parameter_elements()),
                              format_count(data_.train.samples()), format_count(plan_->options.global_batch), plan_->options.lanes,
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
  const Dataset dataset = Dataset::load(config_.data, config_.data.test, data_.train.scalers());
  const auto loader = evaluation_loader(dataset, *plan_, engine_);
  Evaluator evaluator(plan_, *engine_.backend, engine_.mode, engine_.share, *engine_.statistics);
  for (const auto& [name, value] : evaluator.run(*loader, store_.view(), store_.device_states())) metrics["test." + name] = value;
}

TrainingReport TrainingRun::run_loop() {
  state_.callbacks = callbacks_.list();
  if (scaling_.dynamic()) state_.loss_scale = scaling_.initial, state_.loss_scale_streak = 0;
  resume();
  callbacks_.begin(state_.step);
  state_.callbacks = callbacks_.list();
  if (is_root()) write_resolved_run(paths_, config_);
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
  if (request_.profile) report.profile = describe_profile(profile_);
  record(report.outcome == Outcome::finished ? RunPhase::done : RunPhase::stopped);
  callbacks_.end(report.outcome == Outcome::finished ? "done" : "stopped");
  leave_devices();
  return report;
}

/// Ranks that meet on devices part when nothing that was recorded can speak any more.
void TrainingRun::leave_devices() {
  if (!engine_.device_ranks) return;
  step_.forget_recordings();
  evaluator_.reset();
  engine_.device_ranks->close();
}

/// A collective that waits for a rank which is gone would keep the device busy, and memory is given back by an idle one alone.
void TrainingRun::give_up_devices() {
  if (!engine_.device_ranks) return;
  step_.forget_recordings();
  if (evaluator_) evaluator_->forget_recordings();
  engine_.device_ranks->abort();
}

}  // namespace
}  // namespace lockstep
