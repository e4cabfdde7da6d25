#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "distributed/communicator.h"
#include "distributed/device_communicator.h"
#include "distributed/nccl_request.h"
#include "distributed/world.h"
#include "launch/run_config.h"

namespace lockstep {

/// How ranks on devices meet, and what the log should say about it.
struct DeviceRanks {
  std::unique_ptr<DeviceCommunicator> communicator;
  std::string note;  ///< empty, or "collectives: staged through the host: slow, because ..."
};

/// Where NCCL may lie: what the variable LOCKSTEP_NCCL names alone where it is set, else where NVIDIA's libraries are.
std::vector<std::string> nccl_libraries(const Environment& environment);

/// NCCL's entry in the CUDA plug-in; an Error where this build has none.
std::function<OpenNccl> find_open_nccl();

/// Collective, for ranks whose memory is not the host's. `device_name` is one on all ranks that use the same physical
/// device. One rank needs nobody. `automatic` takes NCCL where every rank has it and a device of its own, else the way
/// through the host, with a note. `usage` error where `nccl` is wanted and not to be had; an NCCL that is there and does
/// not start is an error in any case. Device and ranks must outlive the result.
DeviceRanks open_device_ranks(RunOptions::Collectives wanted, Device& device, const std::string& device_name, Communicator& ranks,
                              const std::function<std::function<OpenNccl>()>& find_nccl = find_open_nccl);

}  // namespace lockstep
