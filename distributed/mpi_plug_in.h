#pragma once

#include <string>
#include <string_view>

#include "distributed/mpi/mpi_calls.h"

namespace lockstep {

/// Names another file than the installed plug-in.
inline constexpr const char* kMpiPlugInVariable = "LOCKSTEP_MPI_PLUG_IN";

/// Opens liblockstep_mpi.so, for everybody's symbols to see: see plug_in.h for where it is and what can go wrong. Does not start MPI.
const LockstepMpiCalls& open_mpi_plug_in();

/// "Open MPI v4.1.4", "MPICH 4.0.2": the name and number in what an MPI library says of itself.
std::string mpi_library_name(std::string_view library_version);
std::string mpi_library_name(const LockstepMpiCalls& calls);

/// Which plug-in a job would take and which MPI answers: `/usr/lib/liblockstep_mpi.so (Open MPI v4.1.4)`, or why there is none. Opens it;
/// throws nothing.
std::string describe_mpi_plug_in();

}  // namespace lockstep
