#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <string>

#include "distributed/communicator.h"
#include "launch/run_config.h"
#include "launch/training_loop.h"

namespace lockstep {

/// What `train` and `resume` were asked for.
struct TrainingRequest {
  RunConfig config;
  /// Go on with the run that the directory holds; `train` refuses one unless `run.if_exists` says otherwise.
  bool resume = false;
  /// Allow a difference between the run file and the one in the directory that alters what the run learns.
  bool change_trajectory = false;
  std::string progress = "auto";  ///< "auto", "bar", "plain", "json", "off"
  bool profile = false;           ///< print where the time went
  std::string overrides = {};     ///< "key=value key=value", for the record in the log
  std::function<bool()> stop_requested = [] { return false; };
};

/// What a run left.
struct TrainingReport {
  Outcome outcome = Outcome::finished;
  std::int64_t step = 0;
  std::string digest;  ///< of the whole state, as `inspect --digest` of its checkpoint prints it
  std::map<std::string, double> metrics;  ///< of the last epoch that ended in this call
  std::string profile;
};

/// The composition root: wires data, model, engine, callbacks and checkpoints, resumes where there is something to
/// resume, and runs the loop. Collective. Draws on `out` on rank 0.
TrainingReport run_training(const TrainingRequest& request, Communicator& ranks, std::ostream& out);

}  // namespace lockstep
