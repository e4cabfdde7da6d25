#include <optional>

#include "core/base/error.h"
#include "distributed/agree.h"
#include "distributed/nccl/nccl_communicator.h"
#include "distributed/nccl/start_up_hints.h"
#include "distributed/nccl_request.h"
#include "distributed/start_up.h"

/// See OpenNccl.
extern "C" lockstep::DeviceCommunicator* lockstep_open_nccl(lockstep::NcclRequest* request) {
  using namespace lockstep;
  std::optional<NcclLibrary> nccl;
  std::string why;
  try {
    nccl = open_nccl_library(request->libraries);
  } catch (const Error& error) {
    why = error.what();
  }
  const std::vector<std::string> whys = all_gather_text(request->ranks, why);
  for (std::size_t rank = 0; rank < whys.size(); ++rank) {
    if (whys[rank].empty()) continue;
    request->why_not = fmt::format("rank {}: {}", rank, whys[rank]);
    return nullptr;
  }
  agree_on(request->ranks, require_sound_environment);
  compare_facts(request->ranks, {{.name = "NCCL version",
                                  .value = nccl->version,
                                  .remedy = "install one version on all nodes, or set LOCKSTEP_NCCL or run.collectives = \"staged\""}});
  return new NcclCommunicator(*nccl, request->device, request->ranks, {.start = std::chrono::duration<double>(request->start_seconds)});
}
