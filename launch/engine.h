#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/train/program.h"
#include "core/train/reduction.h"
#include "distributed/communicator.h"
#include "distributed/device_communicator.h"
#include "launch/run_config.h"

namespace lockstep {

/// What a rank computes with: its device, its lanes, and the reductions of the run's mode. The communicator must
/// outlive it.
struct Engine {
  RunMode mode = RunMode::exact;
  RankShare share;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<DeviceCommunicator> device_ranks;  ///< null where the backend works in the host's memory
  std::vector<std::string> notes;                    ///< for the log
  std::unique_ptr<StatisticsReducer> statistics;
  std::unique_ptr<GradientSynchronizer> gradients;
};

/// The workers of a rank on the CPU: `run.threads`, and for "auto" this rank's share of the processors that the node has.
int choose_threads(const RunOptions& options, const Communicator& ranks);

/// Collective. `usage` error when there are more ranks than lanes, or `run.device` or `run.collectives` is not to be had.
Engine make_engine(const RunOptions& options, Communicator& ranks);

}  // namespace lockstep
