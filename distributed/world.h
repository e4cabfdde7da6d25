#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "distributed/communicator.h"

namespace lockstep {

/// A variable of the environment, or null.
using Environment = std::function<const char*(const char*)>;

struct WorldOptions {
  /// Longer messages are sent in pieces of this size, which must fit MPI's int counts.
  std::size_t largest_message_bytes = std::size_t{1} << 30;
};

/// Whether an MPI launcher started this process: mpirun, srun with PMIx or PMI, or MPICH's.
bool started_by_launcher(const Environment& environment);

/// `usage` error when Slurm started several tasks that did not find each other: each would train alone.
void require_whole_world(const Environment& environment, int world_size);

/// All ranks of the job: over the MPI plug-in when a launcher started this process, else this process alone. Call once.
/// The caller ends a job that succeeded by `close()`, one that failed by `abort(code)`.
std::unique_ptr<Communicator> open_world(const WorldOptions& options = {});

}  // namespace lockstep
