#include "core/device/identity.h"

#include <fmt/format.h>

namespace lockstep {

std::string physical_device(const DeviceIdentity& identity) {
  return fmt::format("GPU {} of host {}", identity.bus, identity.host.substr(0, identity.host.find('-')));
}

}  // namespace lockstep
