#include "core/base/error.h"
#include "distributed/mpi/mpi_communicator.h"
#include "distributed/plug_in.h"
#include "distributed/world.h"

extern "C" const char* lockstep_plug_in_build() { return lockstep::kPlugInBuild; }

/// Starts MPI. The caller owns the result; an exception is an Error.
extern "C" lockstep::Communicator* lockstep_open_mpi_world(const lockstep::WorldOptions* options) {
  using namespace lockstep;
  int started = 0, provided = MPI_THREAD_SINGLE;
  MPI_Initialized(&started);
  if (started)
    MPI_Query_thread(&provided);
  else if (const int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided); code != MPI_SUCCESS)
    fail(ErrorKind::io, "mpi: MPI_Init_thread: error {}", code);
  if (provided < MPI_THREAD_SERIALIZED)
    fail(ErrorKind::io, "mpi: this MPI was built without threads: expected MPI_THREAD_SERIALIZED or better");
  return new MpiCommunicator(MPI_COMM_WORLD, options->largest_message_bytes, true);
}
