#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/train/run_state.h"
#include "launch/logging.h"
#include "launch/run_config.h"
#include "launch/run_directory.h"

namespace lockstep {

/// The callbacks of a run, and the log. Those with a memory (early stopping) are on every rank; those that draw or
/// write are on rank 0 alone, and are made by `begin`, which knows where the run starts.
class RunCallbacks {
 public:
  struct Options {
    const RunConfig& config;
    RunPaths paths;
    bool root = false;
    std::string progress = "auto";
    std::ostream& out;
  };

  explicit RunCallbacks(const Options& options);
  ~RunCallbacks();

  /// Those with a memory: part of the run state. Before `begin` these alone exist.
  std::vector<Callback*> list() const;
  /// A new run starts at step 0. Makes the files; rows of later steps are cut off.
  void begin(std::int64_t step);
  void end(std::string_view outcome);
  /// One line for the user and the log; rank 0 alone.
  void note(std::string_view line);

 private:
  Options options_;
  std::vector<std::unique_ptr<Callback>> callbacks_;
  std::unique_ptr<Log> log_;
};

}  // namespace lockstep
