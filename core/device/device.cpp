#include "core/device/device.h"

namespace lockstep {

DeviceBuffer::DeviceBuffer(Device& device, std::size_t bytes, std::string_view what)
    : memory_(static_cast<std::byte*>(device.allocate(bytes, what)), ReleaseMemory{&device}), bytes_(bytes) {}

StagingBuffer::StagingBuffer(Device& device, std::size_t bytes)
    : memory_(static_cast<std::byte*>(device.allocate_staging(bytes)), ReleaseStaging{&device}), bytes_(bytes) {}

}  // namespace lockstep
