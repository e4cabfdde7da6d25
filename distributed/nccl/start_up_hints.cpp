#include "distributed/nccl/start_up_hints.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep {

std::string nccl_settings() {
  std::vector<std::string> settings;
  for (char** variable = environ; variable && *variable; ++variable)
    if (std::string_view(*variable).starts_with("NCCL_")) settings.push_back(*variable);
  std::sort(settings.begin(), settings.end());
  return join(settings);
}

std::string start_up_hints(int ranks_on_host) {
  std::string hints;
  struct statvfs memory {};
  if (ranks_on_host > 1 && statvfs("/dev/shm", &memory) == 0)
    hints += fmt::format("/dev/shm has {} MiB free; ", memory.f_bavail * memory.f_frsize >> 20);
  const std::string settings = nccl_settings();
  hints += settings.empty() ? "no NCCL_* variable is set; " : "set are " + settings + "; ";
  return hints +
         "NCCL_DEBUG=INFO shows more; NCCL_SOCKET_IFNAME names the network to take, NCCL_IB_HCA the adapter; NCCL_P2P_DISABLE=1 and "
         "NCCL_NVLS_ENABLE=0 avoid what some machines lack; all of a node's GPUs must be visible to all of its ranks (Slurm: "
         "--gpu-bind=none); run.collectives = \"staged\" does without NCCL";
}

void require_sound_environment() {
  const char* blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
  if (blocking && *blocking && std::string_view(blocking) != "0")
    fail(ErrorKind::usage, "nccl: collectives hang with CUDA_LAUNCH_BLOCKING={}: unset it, or set run.collectives = \"staged\"", blocking);
  const char* mixing = std::getenv("NCCL_GRAPH_MIXING_SUPPORT");
  if (mixing && std::string_view(mixing) == "0")
    fail(ErrorKind::usage, "nccl: recorded steps and others take turns, which NCCL_GRAPH_MIXING_SUPPORT=0 forbids: unset it");
}

}  // namespace lockstep
