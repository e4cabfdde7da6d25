#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/train/profile.h"
#include "distributed/communicator.h"
#include "launch/bench/device_rates.h"
#include "launch/bench/stopwatch.h"
#include "launch/run_data.h"

namespace lockstep {

struct StepBenchSettings {
  double warm_up = -1;  ///< seconds; negative: 3 on a device of its own, 1 on the host
  double seconds = 10;  ///< of all blocks together, of which there are three at least
  double block_seconds = 0.7;
  RateRequest rates = {};
};

/// What a bench of steps is about.
struct StepFacts {
  std::string model, ranks_line, device, mode, host;
  int ranks = 1, workers = 1, lanes = 1;
  Precision precision = Precision::f32;
  std::int64_t global_batch = 0, parameters = 0, batches = 0;
  std::vector<std::string> fields;  ///< "input [28, 28, 1] u8": what one sample is, as stored
  std::vector<std::string> notes;   ///< of the engine
  std::size_t activation_bytes = 0, parameter_bytes = 0, device_bytes = 0, resident_bytes = 0;  ///< device: 0 where nobody counts
  int recordings = 0;       ///< of steps; 0: each is queued anew
  std::int64_t digest_step = 0;
  std::string digest;       ///< of the state after digest_step steps: equal where the same was computed
  double first_loss = 0;    ///< at digest_step
};

/// What came out. Blocks are rank 0's times; the profile is rank 0's.
struct StepResults {
  StepFacts facts;
  std::vector<Stopwatch::Block> blocks;
  DeviceRates rates;
  std::vector<ProfileEntry> profile;  ///< the longest first
  std::int64_t profile_steps = 0;
  double profile_seconds = 0;  ///< a step, while it was profiled

  double median_step() const;  ///< seconds
  double shortest_step() const;
  double longest_step() const;
};

/// Samples of noise in the shapes that the run file declares, else in those of its data file: as many as `batches` global batches.
RunData noise_data(const RunConfig& config, std::int64_t batches);

/// A run file's training, on samples of noise: everything is what `train` does, but for the learning rate, a hundredth of the run file's since
/// noise teaches nothing and what diverges measures nothing; and without checkpoints, evaluation and log.
/// First the device's rates, then steps until it is warm, then blocks of steps, then a block with a profile. Collective. `internal`
/// error where the loss is no number.
StepResults run_step_bench(const std::string& model, const RunConfig& config, const StepBenchSettings& settings, Communicator& ranks);

/// The same up to the warm steps; then as many steps as each line of the file `input` says, read by rank 0, until it ends. Rank 0 writes to
/// `out` a line of JSON when it is ready and one for each line that it was given (README.md here). `usage` error for a line that is no count.
StepResults serve_step_bench(const std::string& model, const RunConfig& config, const StepBenchSettings& settings, Communicator& ranks, int input,
                             std::ostream& out);

}  // namespace lockstep
