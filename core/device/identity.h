#pragma once

#include <string>

namespace lockstep {

/// Which piece of hardware a rank computes on. Two ranks with equal `uuid` share one; equal `host` and `bus` alone are
/// parts of one.
struct DeviceIdentity {
  std::string name;  ///< "NVIDIA H200"
  std::string uuid;  ///< "GPU-6c4f...": of the device, or of the part of it that this process sees
  std::string bus;   ///< "0000:1b:00.0"
  std::string host;  ///< of the running system: the same in all its containers

  bool operator==(const DeviceIdentity&) const = default;
};

/// `GPU 0000:1b:00.0 of host 3f2c8a11`: the same for all who use one physical device, in parts or whole, from whichever
/// container. What NCCL goes by when it refuses ranks.
std::string physical_device(const DeviceIdentity& identity);

}  // namespace lockstep
