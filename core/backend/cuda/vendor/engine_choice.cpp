#include "core/backend/cuda/vendor/engine_choice.h"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <tuple>

#include "core/backend/cuda/vendor/cudnn.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/base/error.h"

namespace lockstep::cuda {

namespace {

constexpr std::size_t kTimed = 5, kListed = 100;

const bool registered = [] {
  vendor_choices() = [] { return &plan_store(); };
  return true;
}();

/// A problem, its numbers of rows, and its name in the plan store.
struct Question {
  const ConvolutionProblem& problem;
  std::vector<std::int64_t> served;
  std::int64_t lane_rows;
  std::string key;

  bool builds(const EngineFacts& facts) const { return !vendor_options().compile || plan_of(problem, lane_rows, facts) != nullptr; }
};

/// None where nothing is stored, or what is does not serve any more.
std::optional<EngineFacts> stored(const Question& question) {
  const auto engine = plan_store().engine(question.key);
  if (!engine) return {};
  std::optional<EngineFacts> found;
  try {
    found = ConvolutionPlan::usable(plan_target(), question.problem, question.served, vendor_options().workspace_limit, EngineChoice::parse(*engine));
  } catch (const Error&) {
    // written by another version, or by hand
  }
  if (found && question.builds(*found)) return found;
  plan_store().tried(fmt::format("engine {} does not serve", *engine));
  return {};
}

/// The first candidates that build, at most `wanted`. One that is listed may still fail to build, where cuDNN finds no compiler: then the
/// whole list is gone through.
std::vector<EngineFacts> first_that_build(const Question& question, std::size_t wanted) {
  std::vector<EngineFacts> usable;
  for (const std::size_t most : {wanted, kListed}) {
    usable.clear();
    for (const EngineFacts& facts : ConvolutionPlan::candidates(plan_target(), question.problem, question.served, vendor_options().workspace_limit, most))
      if (usable.size() < wanted && question.builds(facts)) usable.push_back(facts);
    if (!usable.empty()) break;
  }
  return usable;
}

std::optional<EngineFacts> first(const Question& question) {
  const std::vector<EngineFacts> found = first_that_build(question, 1);
  if (found.empty()) return {};
  plan_store().put_engine(question.key, found[0].choice.text());
  return found[0];
}

std::optional<EngineFacts> timed(const Question& question, std::int64_t rows, const std::string& layer) {
  const std::vector<EngineFacts> found = first_that_build(question, kTimed);
  if (found.empty()) return {};
  std::vector<const ConvolutionPlan*> plans;
  for (const EngineFacts& facts : found) plans.push_back(plan_of(question.problem, rows, facts));
  const std::vector<double> times = microseconds_of(question.problem, rows, plans);
  std::size_t best = 0;
  for (std::size_t i = 1; i < times.size(); ++i)
    if (times[i] > 0 && (times[best] == 0 || times[i] < times[best])) best = i;
  plan_store().put_engine(question.key, found[best].choice.text(), times[best]);
  plan_store().put_timing(question.key, {.layers = {layer},
                                         .rows = rows,
                                         .first = found[0].name(),
                                         .best = found[best].name(),
                                         .first_microseconds = times[0],
                                         .best_microseconds = times[best]});
  return found[best];
}

std::unique_ptr<ConvolutionPlan> build_plan(const ConvolutionProblem& problem, std::int64_t rows, const EngineFacts& facts,
                                            const std::string& key) {
  const PlanTarget target = plan_target();
  PlanStore& store = plan_store();
  if (!facts.runtime_compiled) return ConvolutionPlan::build(target, problem, rows, facts.choice);
  if (const auto bytes = store.plan(key)) {
    std::string why = "the engine does not serve";
    const auto here = ConvolutionPlan::usable(target, problem, {rows}, std::numeric_limits<std::size_t>::max(), facts.choice);
    auto plan = here ? ConvolutionPlan::load(target, *here, *bytes, why) : nullptr;
    store.tried(plan ? "" : why);
    if (plan) return plan;
  }
  auto plan = ConvolutionPlan::build(target, problem, rows, facts.choice);
  if (plan) store.put_plan(key, plan->bytes());
  return plan;
}

}  // namespace

PlanStore& plan_store() {
  static std::mutex mutex;
  // Not destroyed at exit: plans name their store.
  static auto& stores = *new std::map<std::tuple<std::string, std::string, std::string>, std::unique_ptr<PlanStore>>();
  const VendorOptions& options = vendor_options();
  const std::lock_guard lock(mutex);
  auto& store = stores[{options.plans, options.carried, options.properties}];
  if (!store) store = std::make_unique<PlanStore>(PlanStore::Places{.kept = options.plans, .carried = options.carried}, plan_device());
  return *store;
}

std::optional<EngineFacts> choose_engine(const ConvolutionProblem& problem, std::int64_t reference_rows, std::int64_t lane_rows,
                                         std::int64_t usual_rows, const std::string& layer) {
  const Question question{problem, {reference_rows, lane_rows, 1}, lane_rows, fmt::format("{} lane {}", problem.text(), lane_rows)};
  const bool times = vendor_options().tune && !plan_store().add_timed_layer(question.key, layer);
  std::optional<EngineFacts> found;
  if (times) found = timed(question, usual_rows, layer);
  if (!found) found = stored(question);
  if (!found) found = first(question);
  if (found) plan_store().use(question.key, found->choice.text());
  return found;
}

const ConvolutionPlan* plan_of(const ConvolutionProblem& problem, std::int64_t rows, const EngineFacts& facts) {
  struct Entry {
    std::once_flag once;
    std::unique_ptr<ConvolutionPlan> plan;
  };
  static std::mutex mutex;
  // Not destroyed at exit: the driver may be gone by then.
  static auto& entries = *new std::map<std::pair<const PlanStore*, std::string>, Entry>();
  const std::string key = fmt::format("{} engine {} rows {}", problem.text(), facts.choice.text(), rows);
  Entry* entry = nullptr;
  {
    const PlanStore& store = plan_store();
    const std::lock_guard lock(mutex);
    entry = &entries[{&store, key}];
  }
  std::call_once(entry->once, [&] { entry->plan = build_plan(problem, rows, facts, key); });
  return entry->plan.get();
}

}  // namespace lockstep::cuda
