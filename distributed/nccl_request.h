#pragma once

#include <string>
#include <vector>

#include "core/device/device.h"
#include "distributed/communicator.h"
#include "distributed/device_communicator.h"

namespace lockstep {

/// What `lockstep_open_nccl` of the CUDA plug-in is asked for. The references must outlive the result.
struct NcclRequest {
  Device& device;
  Communicator& ranks;
  std::vector<std::string> libraries;  ///< where NCCL may lie: the first that loads is taken
  double start_seconds = 180;          ///< until all ranks have found each other
  std::string why_not;                 ///< set where the answer is null
};

/// Collective. Null, with `why_not`, where some rank does not find NCCL; an Error on all ranks where it is there but does
/// not start. The caller owns the result.
using OpenNccl = DeviceCommunicator*(NcclRequest*);
inline constexpr const char* kOpenNccl = "lockstep_open_nccl";

}  // namespace lockstep
