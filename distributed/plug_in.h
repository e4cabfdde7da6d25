#pragma once

#include <string>

namespace lockstep {

/// What a plug-in library and the main one must agree on: raise the number when distributed/communicator.h or a header of core/backend or core/device
/// changes.
/// A plug-in returns it from its `extern "C" const char* lockstep_plug_in_build()`.
inline constexpr const char* kPlugInBuild = "lockstep plug-in 4";

/// Who sees the symbols of a plug-in and of what it needs: Open MPI's own plug-ins look for those of MPI.
enum class PlugInScope { local, global };

/// Opens the plug-in library `file`, such as "liblockstep_mpi.so", which lies beside the library that holds this
/// function or in ../lib of the program, checks its build and returns its function `entry`. Never closed. `usage` error
/// when it is absent, does not load or was built for another version.
void* open_plug_in(const std::string& file, const char* entry, PlugInScope scope);

}  // namespace lockstep
