#pragma once

#include <string>

namespace lockstep {

/// What a plug-in library in C++ and the main one must agree on: raise the number when distributed/communicator.h or a header of core/backend or
/// core/device changes.
/// A plug-in returns it from its `extern "C" const char* lockstep_plug_in_build()`.
inline constexpr const char* kPlugInBuild = "lockstep plug-in 5";

/// Who sees the symbols of a plug-in and of what it needs: Open MPI's own plug-ins look for those of MPI.
enum class PlugInScope { local, global };

struct PlugIn {
  std::string file;  ///< "liblockstep_mpi.so"
  PlugInScope scope = PlugInScope::local;
  const char* build = kPlugInBuild;  ///< what it must return
  const char* variable = nullptr;    ///< of the environment: names another file, which then is the one
};

/// The plug-in's file: what its variable names; else the first that exists of site/FILE (a site's own build) and FILE beside the library that
/// holds this function, then in ../lib of the program. `usage` error when there is none.
std::string find_plug_in(const PlugIn& plug_in);

/// Opens the plug-in, checks its build and returns its function `entry`. Never closed. `usage` error when it is absent, does not load or was
/// built for another version.
void* open_plug_in(const PlugIn& plug_in, const char* entry);

}  // namespace lockstep
