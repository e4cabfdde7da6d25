#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/model/precision.h"
#include "core/train/loss_scaler.h"
#include "core/train/program.h"
#include "io/data_options.h"

namespace lockstep {

/// `[run]`
struct RunOptions {
  std::string directory;  ///< "runs/NAME" by default, NAME being the run file's without its ending
  std::int64_t seed = 1;
  RunMode mode = RunMode::exact;
  int lanes = 16;
  int threads = 1;  ///< of a rank; 0 for "auto": the processors of the node, shared by its ranks
  enum class DeviceKind { automatic, cpu, cuda } device = DeviceKind::automatic;
  std::optional<Precision> precision;  ///< empty for "auto": what the device takes first
  enum class Collectives { automatic, nccl, staged } collectives = Collectives::automatic;  ///< between devices
  enum class IfExists { error, resume } if_exists = IfExists::error;
};

/// `[checkpoint]`; 0 is never.
struct CheckpointOptions {
  std::int64_t every_steps = 0;
  std::int64_t every_epochs = 1;  ///< 0 by default where every_steps is given
  std::int64_t keep = 3;
  std::string best;  ///< "validation.accuracy", or empty
};

struct LearningRateOptions {
  double peak = 0;
  std::int64_t at_batch = 0;  ///< the global batch that `peak` is meant for; by default the run's own
  enum class Scale { linear, sqrt, none } scale = Scale::linear;
  /// The peak for this batch: peak * batch / at_batch (linear, Goyal et al. 2017), or its square root.
  double effective_peak(std::int64_t global_batch) const;
};

struct EarlyStoppingOptions {
  std::string monitor;  ///< "validation.loss"
  std::int64_t patience = 5;
  double min_delta = 0;
  bool larger_is_better = false;
  bool restore_best = true;
};

struct LogOptions {
  std::int64_t every_steps = 50;
  bool tensorboard = true;
  std::string progress = "auto";  ///< as --progress, which goes before it
};

/// What training begins with in place of initial weights: `weights = "resnet50.safetensors"`, or `{ file = "...", except = ["fc"] }`.
struct WeightsOptions {
  std::string file;                 ///< relative to the run file
  std::vector<std::string> except;  ///< layers that begin as without a file
};

/// `[train]`
struct TrainOptions {
  std::int64_t epochs = 0;
  std::int64_t steps = 0;  ///< 0: all; else the step to stop at, with schedules as for all epochs
  double max_seconds = 0;  ///< 0: no limit
  Value loss, optimizer, schedule;
  std::optional<Value> clip;
  LearningRateOptions learning_rate;
  std::vector<Value> metrics;
  std::optional<EarlyStoppingOptions> early_stopping;
  std::optional<WeightsOptions> weights;  ///< for a run's first step; `resume` takes a checkpoint
  std::optional<LossScaling> loss_scaling;  ///< empty for "auto": dynamic in f16, 1 otherwise
  LogOptions log;
};

/// `[evaluate]`
struct EvaluateOptions {
  std::int64_t every_epochs = 1;
};

/// Everything a run file says, checked. Plug-ins and `[model]` stay values: their owners read them.
struct RunConfig {
  RunOptions run;
  CheckpointOptions checkpoint;
  DataOptions data;
  TrainOptions train;
  EvaluateOptions evaluate;
  Value model;
  /// The whole tree with all defaults filled in: what `run.toml` in the run directory says. Read as a run file in the
  /// same folder it gives the same configuration. What depends on the machine (data.memory) is filled in only if set.
  Value resolved;
};

/// Checks a run file's tree, overrides applied. `path` is the run file: data paths are relative to its folder, and the
/// default run directory has its name. `run_file` errors name file, line, column and the nearest known names. Plug-ins
/// are tried once, so that their mistakes show here too, except layers, losses and metrics, which need shapes.
RunConfig read_run_config(const Value& root, const std::string& path);

/// `[run]` alone, for what needs no run file. `path` as above.
RunOptions read_run_options(const Value& table, const std::string& path);

/// Seconds of "90", "1h30m", "45s", "00:30:00" or a number; `run_file` error that begins with `where`.
double parse_duration(const Value& value, const std::string& where);

}  // namespace lockstep
