#include "distributed/world.h"

#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>

#include "core/base/error.h"
#include "distributed/mpi_communicator.h"
#include "distributed/self_communicator.h"

namespace lockstep {
namespace {

/// What launchers tell the processes that they start: ranks of the job, and number in it.
struct Launcher {
  const char* size;
  const char* rank;
};
/// The first that is there counts: an mpirun may have been started in a shell that another launcher started.
constexpr Launcher kLaunchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},  // Open MPI, jsrun
    {"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},    // MVAPICH2's mpirun_rsh
    {"PMI_SIZE", "PMI_RANK"},                          // Hydra (MPICH, Intel MPI), srun --mpi=pmi2
    {"", "PMIX_RANK"},                                 // srun --mpi=pmix, prun
    {"", "PALS_RANKID"},                               // Cray
    {"MPI_LOCALNRANKS", "MPI_LOCALRANKID"},            // Hydra again, of one host
};
constexpr int kWithJobSize = 3;
/// Slurm says these with and without an MPI: the step's tasks before the allocation's.
constexpr const char* kSlurmSizes[] = {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"};

int number(const Environment& environment, const char* name) {
  const char* text = environment(name);
  return text ? std::atoi(text) : 0;
}

Environment copy_of_environment() {
  std::map<std::string, std::string> all;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string text = *entry;
    const std::size_t at = text.find('=');
    if (at != std::string::npos) all.emplace(text.substr(0, at), text.substr(at + 1));
  }
  return [all = std::move(all)](const char* name) -> const char* {
    const auto found = all.find(name);
    return found == all.end() ? nullptr : found->second.c_str();
  };
}

}  // namespace

bool started_by_launcher(const Environment& environment) {
  for (const Launcher& launcher : kLaunchers)
    if (environment(launcher.size) || environment(launcher.rank)) return true;
  return false;
}

int rank_by_launcher(const Environment& environment) {
  for (const Launcher& launcher : kLaunchers)
    if (environment(launcher.rank)) return number(environment, launcher.rank);
  return number(environment, "SLURM_PROCID");
}

void require_whole_world(const Environment& environment, int world_size, std::string_view mpi) {
  const char* variable = nullptr;
  for (int i = 0; i < kWithJobSize && !variable; ++i)
    if (number(environment, kLaunchers[i].size) > 0) variable = kLaunchers[i].size;
  const bool slurm = !variable;
  for (const char* name : kSlurmSizes)
    if (!variable && number(environment, name) > 0) variable = name;
  // Slurm counts the tasks of a step, and several steps may be one world.
  if (!variable || number(environment, variable) == world_size || (slurm && world_size > 1)) return;
  if (mpi.empty())
    fail(ErrorKind::usage,
         "start-up: Slurm has {} tasks, but this process finds itself alone: start it as \"srun --mpi=pmix lockstep ...\" (\"srun "
         "--mpi=list\" shows what the site has)",
         number(environment, variable));
  fail(ErrorKind::usage,
       "start-up: the launcher and the MPI plug-in are of different MPIs: {} says {} ranks, {} finds {}; {}, or build the plug-in with the "
       "mpicc of this launcher's MPI: share/lockstep/mpi/build.sh MPICC",
       variable, number(environment, variable), mpi, world_size,
       slurm ? fmt::format("start with an \"srun --mpi=...\" that {} knows (\"srun --mpi=list\" shows what the site has)", mpi)
             : fmt::format("start with the mpirun of {}", mpi));
}

std::unique_ptr<Communicator> open_world(const WorldOptions& options) {
  // What the launcher said, whatever MPI adds when it starts.
  const Environment environment = copy_of_environment();
  if (!started_by_launcher(environment)) {
    require_whole_world(environment, 1);
    return std::make_unique<SelfCommunicator>();
  }
  std::unique_ptr<Communicator> world = open_mpi_world(options.largest_message_bytes);
  try {
    require_whole_world(environment, world->size(), world->describe());
  } catch (const Error&) {
    if (world->size() == 1) world->close();
    throw;
  }
  return world;
}

}  // namespace lockstep
