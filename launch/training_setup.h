#pragma once

#include <memory>

#include "core/model/parameter_store.h"
#include "core/train/clipping.h"
#include "core/train/optimizer.h"
#include "core/train/run_state.h"
#include "core/train/schedule.h"
#include "core/train/training_step.h"
#include "distributed/communicator.h"
#include "launch/engine.h"
#include "launch/run_config.h"
#include "launch/run_data.h"

namespace lockstep {

/// Plug-ins of the training side, made from the run file.
struct Recipe {
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;
  std::unique_ptr<Clipping> clipping;  ///< may be null
};

/// What learns: the plan, its parameters, the step that moves them, the batches that it takes and the state that survives a run. Everything is made
/// in the order of the members, from a run file's configuration; whoever trains it, for real or to time it, owns one. Engine,
/// configuration and ranks must outlive it.
struct TrainingSetup {
  /// Collective: the ranks compare what must agree and what decides the bits before parameters are made.
  TrainingSetup(const RunConfig& config, RunData given, Engine& engine, Communicator& ranks);
  TrainingSetup(const TrainingSetup&) = delete;
  TrainingSetup& operator=(const TrainingSetup&) = delete;

  RunData data;
  std::shared_ptr<const Plan> plan;  // shared with programs and store
  LossScaling scaling;
  Recipe recipe;
  ParameterStore store;
  Profile profile;  ///< of the step, where somebody gives it to it
  TrainingStep step;
  std::unique_ptr<Loader> training;
  RunState state;
};

/// The state of all ranks, for rank 0's visitors. Collective; the state and the ranks must outlive it.
VisitState gathered_state(RunState& state, Communicator& ranks);

/// "2 ranks of 1 thread (Open MPI v4.1.4), cpu avx512, exact mode, f32".
std::string describe_ranks(const Engine& engine, const Communicator& ranks, Precision precision);

}  // namespace lockstep
