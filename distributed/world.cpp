#include "distributed/world.h"

#include <cstdlib>

#include "core/base/error.h"
#include "distributed/plug_in.h"
#include "distributed/self_communicator.h"

namespace lockstep {

bool started_by_launcher(const Environment& environment) {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
    if (environment(name)) return true;
  return false;
}

void require_whole_world(const Environment& environment, int world_size) {
  const char* tasks = environment("SLURM_NTASKS");
  // mpirun says how many ranks it was asked for, and one may be meant inside a larger allocation.
  if (world_size > 1 || environment("OMPI_COMM_WORLD_SIZE") || !tasks || std::atoi(tasks) <= 1) return;
  fail(ErrorKind::usage,
       "start-up: Slurm has {} tasks, but this process finds itself alone: start it as \"srun --mpi=pmix lockstep ...\" (\"srun "
       "--mpi=list\" shows what the site has)",
       tasks);
}

std::unique_ptr<Communicator> open_world(const WorldOptions& options) {
  const Environment environment = [](const char* name) -> const char* { return std::getenv(name); };
  std::unique_ptr<Communicator> world;
  if (started_by_launcher(environment)) {
    const auto open =
        reinterpret_cast<Communicator* (*)(const WorldOptions*)>(open_plug_in("liblockstep_mpi.so", "lockstep_open_mpi_world", PlugInScope::global));
    world.reset(open(&options));
  } else {
    world = std::make_unique<SelfCommunicator>();
  }
  require_whole_world(environment, world->size());
  return world;
}

}  // namespace lockstep
