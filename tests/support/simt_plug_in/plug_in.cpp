// The CUDA plug-in over the shim: what the program opens in the tests of whole runs. The machine is described by
//   LOCKSTEP_SHIM_MEMORY   bytes of the GPU
//   LOCKSTEP_SHIM_FAIL     CALL:AFTER: from that call on every call fails, as when a GPU falls off the bus
#include <cstdlib>
#include <string>

#include "distributed/nccl_request.h"
#include "distributed/plug_in.h"
#include "tests/support/simt/fake_runtime.h"

extern "C" const char* lockstep_plug_in_build() { return lockstep::kPlugInBuild; }

extern "C" lockstep::DeviceCommunicator* lockstep_open_nccl(lockstep::NcclRequest* request) {
  request->why_not = "the shim has no NCCL";
  return nullptr;
}

namespace lockstep::simt {
namespace {

const bool described = [] {
  if (const char* bytes = std::getenv("LOCKSTEP_SHIM_MEMORY")) machine().memory = std::stoull(bytes);
  if (const char* failure = std::getenv("LOCKSTEP_SHIM_FAIL")) {
    const std::string text = failure;
    const std::size_t colon = text.find(':');
    fail_call({.call = text.substr(0, colon), .after = std::stoi(text.substr(colon + 1)), .error = cudaErrorLaunchFailure, .for_good = true});
  }
  return true;
}();

}  // namespace
}  // namespace lockstep::simt
