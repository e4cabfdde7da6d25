#include "distributed/mpi_plug_in.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "core/base/error.h"
#include "distributed/plug_in.h"

namespace lockstep {
namespace {

const PlugIn kPlugIn{
    .file = "liblockstep_mpi.so", .scope = PlugInScope::global, .build = LOCKSTEP_MPI_BUILD, .variable = kMpiPlugInVariable};

}  // namespace

const LockstepMpiCalls& open_mpi_plug_in() {
  const auto give = reinterpret_cast<decltype(&lockstep_mpi_calls)>(open_plug_in(kPlugIn, "lockstep_mpi_calls"));
  const LockstepMpiCalls* calls = give();
  if (calls->abi != LOCKSTEP_MPI_ABI || calls->size != sizeof(LockstepMpiCalls))
    fail(ErrorKind::usage, "plug-in: \"{}\": expected interface {} of {} bytes, got {} of {}", find_plug_in(kPlugIn), LOCKSTEP_MPI_ABI,
         sizeof(LockstepMpiCalls), calls->abi, calls->size);
  return *calls;
}

std::string mpi_library_name(std::string_view library_version) {
  std::istringstream words{std::string(library_version.substr(0, library_version.find_first_of(",\n")))};
  std::string name;
  // MPICH and its kin: "MPICH Version:\t4.0.2".
  for (std::string word; words >> word;) {
    std::string plain = word;
    std::transform(plain.begin(), plain.end(), plain.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (plain != "version" && plain != "version:" && plain != ":") name += (name.empty() ? "" : " ") + word;
  }
  return name;
}

std::string mpi_library_name(const LockstepMpiCalls& calls) {
  char text[8192] = {};
  if (calls.library_version(text, sizeof(text)) != 0 || !text[0]) return "an MPI without a name";
  return mpi_library_name(text);
}

std::string describe_mpi_plug_in() {
  try {
    const std::string path = find_plug_in(kPlugIn);
    return path + " (" + mpi_library_name(open_mpi_plug_in()) + ")";
  } catch (const Error& error) {
    return std::string("none: ") + error.what();
  }
}

}  // namespace lockstep
