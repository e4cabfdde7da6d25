#include "launch/device_ranks.h"

#include <cstdlib>
#include <map>

#include "core/base/error.h"
#include "distributed/plug_in.h"
#include "distributed/rank_list.h"
#include "distributed/self_device_communicator.h"
#include "distributed/staged_device_communicator.h"
#include "launch/nvidia_libraries.h"

namespace lockstep {
namespace {

/// "ranks 0-1 share \"GPU-1b2c\"", or empty where each rank has a device of its own.
std::string shared_device(Communicator& ranks, const std::string& device_name) {
  const std::vector<std::string> names = all_gather_text(ranks, device_name);
  std::map<std::string, std::vector<int>> users;
  for (std::size_t rank = 0; rank < names.size(); ++rank) users[names[rank]].push_back(static_cast<int>(rank));
  for (const std::string& name : names)
    if (users[name].size() > 1) return fmt::format("{} share \"{}\"", rank_list(users[name]), name);
  return "";
}

/// Null, with the reason, where some rank does not have NCCL.
std::unique_ptr<DeviceCommunicator> try_nccl(const std::function<std::function<OpenNccl>()>& find_nccl, NcclRequest& request) {
  std::function<OpenNccl> open;
  std::string why;
  try {
    open = find_nccl();
  } catch (const Error& error) {
    why = error.what();
  }
  const std::vector<std::string> whys = all_gather_text(request.ranks, why);
  for (std::size_t rank = 0; rank < whys.size(); ++rank) {
    if (whys[rank].empty()) continue;
    request.why_not = fmt::format("rank {}: {}", rank, whys[rank]);
    return nullptr;
  }
  return std::unique_ptr<DeviceCommunicator>(open(&request));
}

DeviceRanks staged(Device& device, Communicator& ranks, const std::string& why) {
  return {.communicator = std::make_unique<StagedDeviceCommunicator>(device, ranks),
          .note = "collectives: staged through the host: slow, because " + why};
}

}  // namespace

std::vector<std::string> nccl_libraries(const Environment& environment) {
  if (const char* own = environment("LOCKSTEP_NCCL"); own && *own) return {own};
  return nvidia_library_candidates("libnccl.so.2", folder_of_this_library(), environment);
}

std::function<OpenNccl> find_open_nccl() {
  return reinterpret_cast<OpenNccl*>(open_plug_in({.file = "liblockstep_cuda.so"}, kOpenNccl));
}

DeviceRanks open_device_ranks(RunOptions::Collectives wanted, Device& device, const std::string& device_name, Communicator& ranks,
                              const std::function<std::function<OpenNccl>()>& find_nccl) {
  using Collectives = RunOptions::Collectives;
  if (ranks.size() == 1) return {.communicator = std::make_unique<SelfDeviceCommunicator>(device), .note = ""};
  if (wanted == Collectives::staged) return staged(device, ranks, "run.collectives is \"staged\"");
  const std::string sharing = shared_device(ranks, device_name);
  if (!sharing.empty()) {
    if (wanted == Collectives::nccl)
      fail(ErrorKind::usage, "collectives: {}, which NCCL refuses: give each rank a device of its own, or set run.collectives = \"staged\"",
           sharing);
    return staged(device, ranks, sharing);
  }
  const Environment environment = [](const char* name) -> const char* { return std::getenv(name); };
  NcclRequest request{.device = device, .ranks = ranks, .libraries = nccl_libraries(environment)};
  if (auto nccl = try_nccl(find_nccl, request)) return {.communicator = std::move(nccl), .note = ""};
  if (wanted == Collectives::nccl) fail(ErrorKind::usage, "collectives: no NCCL: {}", request.why_not);
  return staged(device, ranks, request.why_not);
}

}  // namespace lockstep
