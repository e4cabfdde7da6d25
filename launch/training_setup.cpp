#include "launch/training_setup.h"

#include <fmt/format.h>

#include "core/base/hash.h"
#include "distributed/gathering_visitor.h"
#include "distributed/start_up.h"
#include "launch/model_setup.h"
#include "launch/resolved_run.h"
#include "launch/version.h"

namespace lockstep {
namespace {

Recipe make_recipe(const TrainOptions& train) {
  Recipe recipe{.optimizer = make_plug_in<Optimizer>(train.optimizer), .schedule = make_plug_in<Schedule>(train.schedule)};
  if (train.clip) recipe.clipping = make_plug_in<Clipping>(*train.clip);
  return recipe;
}

std::shared_ptr<const Plan> make_training_plan(const RunConfig& config, const RunData& data, const Backend& backend) {
  const Precision precision = choose_precision(config.run, backend);
  return compile_model(config, data.train.batch_fields(activation_dtype(precision)), precision);
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

}  // namespace

TrainingSetup::TrainingSetup(const RunConfig& config, RunData given, Engine& engine, Communicator& ranks)
    : data(std::move(given)),
      plan(make_training_plan(config, data, *engine.backend)),
      scaling(choose_loss_scaling(config.train, plan->options.precision)),
      recipe(make_recipe(config.train)),
      store((compare_facts(ranks, start_up_facts(config, data, *plan, *engine.backend)), plan), static_cast<std::uint64_t>(config.run.seed),
            recipe.optimizer->slots(), engine.backend->device()),
      profile(engine.backend->device()),
      step({.plan = plan, .backend = *engine.backend, .mode = engine.mode, .share = engine.share, .statistics = *engine.statistics,
            .gradients = *engine.gradients, .optimizer = *recipe.optimizer, .clipping = recipe.clipping.get(), .store = store,
            .overflow = scaling.dynamic() ? TrainingStep::Overflow::is_skipped : TrainingStep::Overflow::fails}),
      training(training_loader(data, config, *plan, engine)),
      state{.store = store, .schedule = *recipe.schedule, .callbacks = {}, .seed = config.run.seed, .fitted = fitted_numbers(data.train),
            .carried = make_carried(*plan, engine.share.lanes.count() * plan->lane_rows(), engine.backend->device()),
            .first_row = engine.share.lanes.first * plan->lane_rows(), .total_rows = plan->options.lanes * plan->lane_rows()} {
  if (scaling.dynamic()) state.loss_scale = scaling.initial, state.loss_scale_streak = 0;
}

VisitState gathered_state(RunState& state, Communicator& ranks) {
  return [&state, &ranks](StateVisitor& visitor) {
    GatheringVisitor whole(ranks, visitor);
    state.visit(whole);
  };
}

std::string describe_ranks(const Engine& engine, const Communicator& ranks, Precision precision) {
  const auto device = engine.backend->identity();
  const int workers = engine.backend->workers();
  const std::string each = device ? "on " + device->name : fmt::format("of {} thread{}", workers, workers == 1 ? "" : "s");
  return fmt::format("{} rank{} {} ({}), {}, {} mode, {}", ranks.size(), ranks.size() == 1 ? "" : "s", each, ranks.describe(), engine.backend->describe(),
                     engine.mode == RunMode::exact ? "exact" : "fast", name_of(precision));
}

}  // namespace lockstep
