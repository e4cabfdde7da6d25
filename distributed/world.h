#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "distributed/communicator.h"

namespace lockstep {

/// A variable of the environment, or null.
using Environment = std::function<const char*(const char*)>;

struct WorldOptions {
  /// Longer messages are sent in pieces of this size, which must fit MPI's int counts.
  std::size_t largest_message_bytes = std::size_t{1} << 30;
};

/// Whether an MPI launcher started this process: mpirun or mpiexec of any MPI, srun with PMIx or PMI.
bool started_by_launcher(const Environment& environment);

/// This process' number in its job by what the launcher says, before MPI is started; 0 where nobody says.
int rank_by_launcher(const Environment& environment);

/// `usage` error when the launcher started another number of ranks than found each other: each would train alone. That is what a launcher of one
/// MPI and a plug-in of another do. `environment` is the one from before MPI was started. `mpi` is the library's name, empty where
/// MPI was not started.
void require_whole_world(const Environment& environment, int world_size, std::string_view mpi = "");

/// All ranks of the job: over the MPI plug-in when a launcher started this process, else this process alone. Call once.
/// The caller ends a job that succeeded by `close()`, one that failed by `abort(code)`.
std::unique_ptr<Communicator> open_world(const WorldOptions& options = {});

}  // namespace lockstep
