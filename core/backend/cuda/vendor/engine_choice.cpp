#include "core/backend/cuda/vendor/engine_choice.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/vendor/cudnn.h"
#include "core/backend/cuda/vendor/plan_store.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/base/error.h"

namespace lockstep::cuda {

namespace {

constexpr std::size_t kTimed = 5, kListed = 100;

/// GPU model, driver and library: who shares them shares choices.
std::string device_name() {
  const std::string& properties = vendor_options().properties;
  const auto after = [&](std::string_view key) {
    const auto at = properties.find(key);
    return at == std::string::npos ? std::string() : properties.substr(at + key.size());
  };
  std::string name;
  int driver = 0;
  if (!properties.empty()) {
    name = after("\"deviceName\":\"");
    name.resize(std::min(name.size(), name.find('"')));
    driver = std::atoi(after("\"driverVer\":").c_str());
  } else {
    cudaDeviceProp found{};
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaGetDeviceProperties(&found, device), "cudaGetDeviceProperties");
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    name = found.name;
  }
  return fmt::format("{}; driver {}; cudnn {}", name, driver, cudnn_version());
}

PlanStore& store() {
  static std::mutex mutex;
  static std::map<std::string, PlanStore> stores;
  const std::lock_guard lock(mutex);
  const std::string& path = vendor_options().plans;
  return stores.try_emplace(path, path, path.empty() ? std::string() : device_name()).first->second;
}

/// A measured choice, or one made ahead for a GPU that is not here.
bool keeps_choices() { return store().writable() && (vendor_options().tune || !vendor_options().properties.empty()); }

std::optional<EngineFacts> stored(const PlanTarget& target, const ConvolutionProblem& problem, const std::vector<std::int64_t>& rows,
                                  const std::string& key) {
  const auto found = store().find(key);
  if (!found) return {};
  try {
    return ConvolutionPlan::usable(target, problem, rows, vendor_options().workspace_limit, EngineChoice::parse(found->engine));
  } catch (const Error&) {
    return {};  // written by another version, or by hand
  }
}

std::unique_ptr<ConvolutionPlan> build_plan(const ConvolutionProblem& problem, std::int64_t rows, const EngineFacts& facts,
                                            const std::string& key) {
  const PlanTarget target = plan_target();
  if (facts.runtime_compiled) {
    const auto kept = store().find(key);
    const auto here = ConvolutionPlan::usable(target, problem, {rows}, std::numeric_limits<std::size_t>::max(), facts.choice);
    if (kept && here && kept->plans.count(rows) > 0)
      if (auto plan = ConvolutionPlan::load(target, *here, kept->plans.at(rows))) return plan;
  }
  auto plan = ConvolutionPlan::build(target, problem, rows, facts.choice);
  if (plan && facts.runtime_compiled && keeps_choices())
    store().put(key, {.engine = facts.choice.text(), .microseconds = 0, .plans = {{rows, plan->bytes()}}});
  return plan;
}

}  // namespace

std::optional<EngineFacts> choose_engine(const ConvolutionProblem& problem, std::int64_t reference_rows, std::int64_t lane_rows,
                                         std::int64_t usual_rows) {
  const PlanTarget target = plan_target();
  const VendorOptions& options = vendor_options();
  const std::vector<std::int64_t> served = {reference_rows, lane_rows, 1};
  const std::string key = fmt::format("{} lane {}", problem.text(), lane_rows);
  const auto builds = [&](const EngineFacts& facts) { return plan_of(problem, lane_rows, facts) != nullptr; };
  if (auto found = stored(target, problem, served, key); found && builds(*found)) return found;

  const std::size_t wanted = options.tune && target.handle ? kTimed : 1;
  std::vector<EngineFacts> usable;
  // One that is listed may still fail to build, where cuDNN finds no compiler: then the whole list is gone through.
  for (const std::size_t most : {wanted, kListed}) {
    usable.clear();
    for (const EngineFacts& facts : ConvolutionPlan::candidates(target, problem, served, options.workspace_limit, most))
      if (usable.size() < wanted && builds(facts)) usable.push_back(facts);
    if (!usable.empty()) break;
  }
  if (usable.empty()) return {};
  PlanStore::Choice choice;
  std::size_t best = 0;
  if (usable.size() > 1) {
    std::vector<const ConvolutionPlan*> plans;
    for (const EngineFacts& facts : usable) plans.push_back(plan_of(problem, usual_rows, facts));
    best = fastest(problem, usual_rows, plans, choice.microseconds);
  }
  choice.engine = usable[best].choice.text();
  if (keeps_choices()) store().put(key, choice);
  return usable[best];
}

const ConvolutionPlan* plan_of(const ConvolutionProblem& problem, std::int64_t rows, const EngineFacts& facts) {
  static std::mutex mutex;
  // Not destroyed at exit: the driver may be gone by then.
  static auto& plans = *new std::map<std::string, std::unique_ptr<ConvolutionPlan>>();
  const std::string key = fmt::format("{} engine {} rows {}", problem.text(), facts.choice.text(), rows);
  const std::lock_guard lock(mutex);
  auto& plan = plans[vendor_options().properties + key];
  if (!plan) plan = build_plan(problem, rows, facts, key);
  return plan.get();
}

}  // namespace lockstep::cuda
