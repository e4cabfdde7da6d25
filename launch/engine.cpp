#include "launch/engine.h"

#include <algorithm>
#include <thread>

#include "distributed/allreduce_gradient_synchronizer.h"
#include "distributed/fast_statistics_reducer.h"
#include "distributed/start_up.h"
#include "distributed/tree_gradient_synchronizer.h"
#include "distributed/tree_statistics_reducer.h"
#include "launch/device_choice.h"

namespace lockstep {
namespace {

int choose_threads(const RunOptions& options, const Communicator& ranks) {
  if (options.threads > 0) return options.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / ranks.local_size());
}

}  // namespace

Engine make_engine(const RunOptions& options, Communicator& ranks) {
  require_lanes(options.lanes, ranks.size());
  Engine engine{.mode = options.mode, .share = {lanes_of_rank(options.lanes, ranks.rank(), ranks.size())}};
  ChosenBackend chosen = choose_backend(options, choose_threads(options, ranks), ranks);
  engine.backend = std::move(chosen.backend);
  if (!chosen.note.empty()) engine.notes.push_back(chosen.note);
  if (options.mode == RunMode::exact) {
    engine.statistics = std::make_unique<TreeStatisticsReducer>(ranks);
    engine.gradients = std::make_unique<TreeGradientSynchronizer>(ranks, options.lanes);
  } else {
    engine.statistics = std::make_unique<FastStatisticsReducer>(ranks);
    engine.gradients = std::make_unique<AllReduceGradientSynchronizer>(ranks);
  }
  return engine;
}

}  // namespace lockstep
