#pragma once

#include <string>

namespace lockstep {

/// What a plug-in library and the main one must agree on: raise the number when distributed/communicator.h changes.
/// A plug-in returns it from its `extern "C" const char* lockstep_plug_in_build()`.
inline constexpr const char* kPlugInBuild = "lockstep plug-in 2";

/// Opens the plug-in library `file`, such as "liblockstep_mpi.so", which lies beside the library that holds this
/// function or in ../lib of the program, checks its build and returns its function `entry`. Never closed. Its symbols
/// are global, since Open MPI's own plug-ins look for them. `usage` error when it is absent, does not load or was built
/// for another version.
void* open_plug_in(const std::string& file, const char* entry);

}  // namespace lockstep
