#include "launch/bench/step_bench.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>
#include <ostream>
#include <thread>

#include "core/model/state_digest.h"
#include "distributed/agree.h"
#include "launch/bench/line_input.h"
#include "launch/bench/median.h"
#include "launch/bench/step_report.h"
#include "launch/kernel_agreement.h"
#include "launch/logging.h"
#include "launch/training_loop.h"
#include "launch/training_setup.h"

namespace lockstep {
namespace {

/// Enough to come by the second recording: each of the two sets of input is queued once and then recorded.
constexpr std::int64_t kFirstSteps = 4;
constexpr std::int64_t kMostSteps = 1'000'000;
constexpr std::size_t kFewestBlocks = 3;
constexpr std::int64_t kFewestProfiled = 3;
constexpr std::int64_t kBatches = 4;
constexpr double kRateFraction = 0.01;

/// What this process holds of the host's memory now; 0 where the system does not say.
std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::size_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
}

void require_full_lanes(const RunConfig& config) {
  if (config.data.global_batch < config.run.lanes)
    fail(ErrorKind::run_file, "data.global_batch: expected at least run.lanes ({}), since a lane without a sample costs time for nothing, got {}", config.run.lanes,
         config.data.global_batch);
}

/// A number of steps from the text of one request.
std::int64_t steps_of(const std::string& line) {
  std::size_t end = 0;
  std::int64_t steps = 0;
  try {
    steps = std::stoll(line, &end);
  } catch (const std::exception&) {
    end = std::string::npos;
  }
  if (end != line.size() || steps < 1 || steps > kMostSteps)
    fail(ErrorKind::usage, "bench step: --serve: expected a number of steps from 1 to {}, got \"{}\"", kMostSteps, line);
  return steps;
}

/// One bench: what is trained, and the phases that its loop goes through. Everything is made in the order of the members.
class StepBench {
 public:
  StepBench(const std::string& model, const RunConfig& config, const StepBenchSettings& settings, Communicator& ranks);
  ~StepBench();

  void serve(int input, std::ostream& out) { input_ = std::make_unique<LineInput>(input), out_ = &out; }
  StepResults run();

 private:
  enum class Phase { first, warm_up, blocks, requests, warm_profile, profile };

  std::int64_t next(const Stopwatch::Block& done);
  std::int64_t enter(Phase phase, std::int64_t steps) {
    phase_ = phase;
    return steps;
  }
  /// As many steps as take about block_seconds.
  std::int64_t block_like(const Stopwatch::Block& done) const;
  void note_first(const Stopwatch::Block& done);
  std::int64_t begin_work(std::int64_t steps);
  std::int64_t after_block(const Stopwatch::Block& done);
  std::int64_t next_request();
  void measure_rates();
  void collect(const Stopwatch::Block& done);
  LoopSettings loop_settings() const;

  const RunConfig& config_;
  const StepBenchSettings& settings_;
  Communicator& ranks_;
  Engine engine_;
  StepResults results_;
  std::unique_ptr<TrainingSetup> setup_;
  Stopwatch stopwatch_;
  Phase phase_ = Phase::first;
  double warm_up_left_ = 0, measured_ = 0;
  bool done_ = false;
  std::unique_ptr<LineInput> input_;  ///< null where nobody is served
  std::ostream* out_ = nullptr;
};

StepBench::StepBench(const std::string& model, const RunConfig& config, const StepBenchSettings& settings, Communicator& ranks)
    : config_(config),
      settings_(settings),
      ranks_(ranks),
      engine_((agree_on(ranks, [&] { require_full_lanes(config); }), make_engine(config.run, ranks))),
      stopwatch_(ranks, [this](const Stopwatch::Block& done) { return next(done); }) {
  results_.facts.model = model;
}

/// Ranks on devices part when nothing that was recorded can speak any more; where an error is under way they do not wait for each other.
StepBench::~StepBench() {
  if (done_) return;
  if (setup_) setup_->step.forget_recordings();
  if (engine_.device_ranks) engine_.device_ranks->abort();
}

void StepBench::measure_rates() {
  RateSettings rates = choose_rate_settings(*engine_.backend, ranks_.local_size(), settings_.rates);
  rates.copy_sizes = 1;
  const Precision precision = setup_->plan->options.precision;
  ranks_.barrier();
  agree_on(ranks_, [&] { results_.rates = measure_device(*engine_.backend, rates, std::span(&precision, 1)); });
}

/// The run file's, without an end and with a small rate.
LoopSettings StepBench::loop_settings() const {
  return {.epochs = std::int64_t{1} << 40,
          .peak_learning_rate = kRateFraction * config_.train.learning_rate.effective_peak(config_.data.global_batch),
          .momentum = setup_->recipe.optimizer->momentum(),
          .global_batch = config_.data.global_batch,
          .loss_scaling = setup_->scaling};
}

StepResults StepBench::run() {
  RunData data;
  agree_on(ranks_, [&] { data = noise_data(config_, kBatches); });
  setup_ = std::make_unique<TrainingSetup>(config_, std::move(data), engine_, ranks_);
  for (std::string& note : settle_kernels(*engine_.backend, ranks_)) engine_.notes.push_back(std::move(note));
  if (!input_) measure_rates();
  warm_up_left_ = settings_.warm_up >= 0 ? settings_.warm_up : engine_.backend->device().is_host() ? 1 : 3;
  setup_->state.callbacks = {&stopwatch_};
  TrainingLoop loop(loop_settings(), {.source = *setup_->training, .step = setup_->step, .state = setup_->state, .ranks = ranks_, .evaluate = {},
                                      .save = [](const TrainingLoop::Metrics&) {}, .restore_best = [] {}, .stop_requested = [] { return false; }});
  loop.run();
  setup_->step.forget_recordings();
  if (engine_.device_ranks) engine_.device_ranks->close();
  done_ = true;
  return std::move(results_);
}

std::int64_t StepBench::next(const Stopwatch::Block& done) {
  if (done.steps > 0 && !std::isfinite(done.loss)) fail(ErrorKind::internal, "bench step: the loss is {} after {} steps", done.loss, setup_->state.step);
  if (done.steps == 0) return kFirstSteps;
  switch (phase_) {
    case Phase::first:
      note_first(done);
      if (warm_up_left_ <= 0) return begin_work(block_like(done));
      return enter(Phase::warm_up, block_like(done));
    case Phase::warm_up:
      warm_up_left_ -= done.seconds;
      return warm_up_left_ > 0 ? block_like(done) : begin_work(block_like(done));
    case Phase::blocks: return after_block(done);
    case Phase::requests:
      results_.blocks.push_back(done);
      if (ranks_.rank() == 0) *out_ << served_json(done) << std::endl;
      return next_request();
    case Phase::warm_profile:
      setup_->profile.restart();
      return enter(Phase::profile, std::max(block_like(done), kFewestProfiled));
    case Phase::profile: collect(done); return 0;
  }
  return 0;
}

std::int64_t StepBench::block_like(const Stopwatch::Block& done) const {
  const double step = std::max(done.seconds / static_cast<double>(done.steps), 1e-9);
  return std::clamp<std::int64_t>(std::llround(settings_.block_seconds / step), 1, kMostSteps);
}

void StepBench::note_first(const Stopwatch::Block& done) {
  results_.facts.digest_step = setup_->state.step;
  results_.facts.digest = state_digest(gathered_state(setup_->state, ranks_));
  results_.facts.first_loss = done.loss;
}

/// Everything is warm: the facts are known, and blocks or requests follow.
std::int64_t StepBench::begin_work(std::int64_t steps) {
  StepFacts& facts = results_.facts;
  const Plan& plan = *setup_->plan;
  Backend& backend = *engine_.backend;
  facts.ranks_line = describe_ranks(engine_, ranks_, plan.options.precision);
  facts.device = backend.describe();
  facts.host = host_name();
  facts.mode = engine_.mode == RunMode::exact ? "exact" : "fast";
  facts.ranks = ranks_.size(), facts.workers = backend.workers(), facts.lanes = plan.options.lanes;
  facts.precision = plan.options.precision;
  facts.global_batch = plan.options.global_batch, facts.parameters = plan.parameter_elements(), facts.batches = kBatches;
  for (const DatasetField& field : setup_->data.train.fields()) facts.fields.push_back(field.options.name + " " + field.sample.text());
  facts.notes = engine_.notes;
  facts.activation_bytes = setup_->step.program().activation_bytes();
  facts.parameter_bytes = static_cast<std::size_t>(plan.arena_elements) * sizeof(float) * (2 + setup_->recipe.optimizer->slots().size());
  facts.device_bytes = backend.device().memory_in_use();
  facts.resident_bytes = resident_bytes();
  facts.recordings = setup_->step.recordings();
  if (!input_) return enter(Phase::blocks, steps);
  phase_ = Phase::requests;
  if (ranks_.rank() == 0) *out_ << ready_json(facts) << std::endl;
  return next_request();
}

std::int64_t StepBench::after_block(const Stopwatch::Block& done) {
  results_.blocks.push_back(done);
  measured_ += done.seconds;
  if (measured_ < settings_.seconds || results_.blocks.size() < kFewestBlocks) return done.steps;
  setup_->step.profile(&setup_->profile);
  return enter(Phase::warm_profile, kFirstSteps);
}

/// Rank 0 waits for a line; the others sleep meanwhile, so that whoever is measured between two requests has the processors.
std::int64_t StepBench::next_request() {
  constexpr int kPatience = 2;  // milliseconds
  std::int64_t steps = -1;
  while (steps < 0) {
    agree_on(ranks_, [&] {
      if (ranks_.rank() > 0) return std::this_thread::sleep_for(std::chrono::milliseconds(kPatience));
      const LineInput::Read read = input_->read(ranks_.size() > 1 ? kPatience : -1);
      if (read.state == LineInput::State::ended) steps = 0;
      if (read.state == LineInput::State::line) steps = steps_of(read.line);
    });
    ranks_.broadcast(&steps, sizeof(steps), 0);
  }
  return steps;
}

void StepBench::collect(const Stopwatch::Block& done) {
  results_.profile = setup_->profile.entries();
  results_.profile_steps = setup_->profile.steps();
  results_.profile_seconds = done.seconds / static_cast<double>(done.steps);
  setup_->step.profile(nullptr);
}

std::vector<double> step_seconds(const StepResults& results) {
  std::vector<double> seconds;
  for (const Stopwatch::Block& block : results.blocks) seconds.push_back(block.seconds / static_cast<double>(block.steps));
  return seconds;
}

}  // namespace

double StepResults::median_step() const { return median(step_seconds(*this)); }

double StepResults::shortest_step() const {
  const auto seconds = step_seconds(*this);
  return seconds.empty() ? 0 : *std::ranges::min_element(seconds);
}

double StepResults::longest_step() const {
  const auto seconds = step_seconds(*this);
  return seconds.empty() ? 0 : *std::ranges::max_element(seconds);
}

StepResults run_step_bench(const std::string& model, const RunConfig& config, const StepBenchSettings& settings, Communicator& ranks) {
  return StepBench(model, config, settings, ranks).run();
}

StepResults serve_step_bench(const std::string& model, const RunConfig& config, const StepBenchSettings& settings, Communicator& ranks, int input,
                             std::ostream& out) {
  StepBench bench(model, config, settings, ranks);
  bench.serve(input, out);
  return bench.run();
}

}  // namespace lockstep
