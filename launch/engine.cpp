#include "launch/engine.h"

#include <algorithm>
#include <thread>

#include "distributed/allreduce_gradient_synchronizer.h"
#include "distributed/device_allreduce_gradient_synchronizer.h"
#include "distributed/device_statistics_reducer.h"
#include "distributed/device_tree_gradient_synchronizer.h"
#include "distributed/fast_statistics_reducer.h"
#include "distributed/start_up.h"
#include "distributed/tree_gradient_synchronizer.h"
#include "distributed/tree_statistics_reducer.h"
#include "launch/device_choice.h"
#include "launch/device_ranks.h"
#include "launch/kernel_agreement.h"

namespace lockstep {
namespace {

void meet_on_host(Engine& engine, const RunOptions& options, Communicator& ranks) {
  if (options.mode == RunMode::exact) {
    engine.statistics = std::make_unique<TreeStatisticsReducer>(ranks);
    engine.gradients = std::make_unique<TreeGradientSynchronizer>(ranks, options.lanes);
  } else {
    engine.statistics = std::make_unique<FastStatisticsReducer>(ranks);
    engine.gradients = std::make_unique<AllReduceGradientSynchronizer>(ranks);
  }
}

void meet_on_devices(Engine& engine, const RunOptions& options, Communicator& ranks) {
  Backend& backend = *engine.backend;
  const auto identity = backend.identity();
  DeviceRanks meeting = open_device_ranks(options.collectives, backend.device(), identity ? physical_device(*identity) : backend.describe(), ranks);
  engine.device_ranks = std::move(meeting.communicator);
  if (!meeting.note.empty()) engine.notes.push_back(meeting.note);
  engine.statistics = std::make_unique<DeviceStatisticsReducer>(options.mode, backend, *engine.device_ranks);
  if (options.mode == RunMode::exact)
    engine.gradients = std::make_unique<DeviceTreeGradientSynchronizer>(backend, *engine.device_ranks, options.lanes);
  else
    engine.gradients = std::make_unique<DeviceAllReduceGradientSynchronizer>(backend, *engine.device_ranks);
}

}  // namespace

int choose_threads(const RunOptions& options, const Communicator& ranks) {
  if (options.threads > 0) return options.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / ranks.local_size());
}

Engine make_engine(const RunOptions& options, Communicator& ranks) {
  require_lanes(options.lanes, ranks.size());
  Engine engine{.mode = options.mode, .share = {lanes_of_rank(options.lanes, ranks.rank(), ranks.size())}};
  ChosenBackend chosen = choose_backend(options, choose_threads(options, ranks), ranks);
  engine.backend = std::move(chosen.backend);
  if (!chosen.note.empty()) engine.notes.push_back(chosen.note);
  agree_on_kernels(*engine.backend, ranks);
  if (engine.backend->device().is_host())
    meet_on_host(engine, options, ranks);
  else
    meet_on_devices(engine, options, ranks);
  return engine;
}

}  // namespace lockstep
