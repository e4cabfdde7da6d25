#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "launch/run_lock.h"

namespace lockstep {

/// Where the parts of a run directory lie. Names only; any rank.
struct RunPaths {
  std::string directory;

  std::string run_file() const { return directory + "/run.toml"; }
  std::string state() const { return directory + "/state.json"; }
  std::string engines() const { return directory + "/engines.json"; }  ///< KernelChoices::used of a run on a GPU
  std::string metrics_csv() const { return directory + "/metrics.csv"; }
  std::string metrics_jsonl() const { return directory + "/metrics.jsonl"; }
  std::string log() const { return directory + "/log.txt"; }
  std::string checkpoints() const { return directory + "/checkpoints"; }
  std::string tensorboard() const { return directory + "/tensorboard"; }
};

enum class RunPhase { running, done, stopped, failed };

/// How far a run is: the file `state.json`, replaced as a whole and so never half written.
struct RunRecord {
  RunPhase phase = RunPhase::running;
  std::int64_t step = 0, total_steps = 0, epoch = 0;
  int exit_code = 0;    ///< of a failed run
  std::string message;  ///< why it stopped or failed; one line
};

/// Nothing where the file is not there; `content` error where it is not ours.
std::optional<RunRecord> read_record(const RunPaths& paths);
void write_record(const RunPaths& paths, const RunRecord& record);

enum class IfExists { error, resume };

/// A run directory that this process owns: rank 0 alone makes one, the others know RunPaths.
class RunDirectory {
 public:
  /// Makes the directory where it is missing and takes its lock. A directory that holds a run (a `run.toml` or a
  /// `state.json`) is a `usage` error with `IfExists::error`, whose message says the remedies; with
  /// `IfExists::resume` it is taken over. Nothing in it is changed but the lock. `io` error where the system says no.
  RunDirectory(const std::string& directory, IfExists if_exists);

  const RunPaths& paths() const { return paths_; }
  /// Whether it held a run before: then the caller goes on with that one.
  bool holds_run() const { return holds_run_; }
  /// What that run left; nothing where it died before it wrote any.
  const std::optional<RunRecord>& earlier() const { return earlier_; }

 private:
  RunPaths paths_;
  RunLock lock_;
  bool holds_run_ = false;
  std::optional<RunRecord> earlier_;
};

/// What `lockstep status` says, from the files and the lock alone.
struct RunStatus {
  /// 0 done, 1 running, 75 start again, else the code that the run failed with.
  int exit_code = 0;
  std::string line;
};

/// `usage` error for a directory that holds no run.
RunStatus run_status(const std::string& directory);

}  // namespace lockstep
