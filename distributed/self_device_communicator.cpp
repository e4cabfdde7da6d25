#include "distributed/self_device_communicator.h"

#include "core/base/error.h"

namespace lockstep {

void SelfDeviceCommunicator::all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) {
  require(bytes.size() == 1, "all_gather: expected 1 size, got {}", bytes.size());
  if (send != receive) device_.copy(receive, send, bytes[0], stream);
}

void SelfDeviceCommunicator::all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                                        std::span<const std::size_t> receive_bytes, StreamView stream) {
  require(send_bytes.size() == 1 && receive_bytes.size() == 1 && send_bytes[0] == receive_bytes[0],
          "all_to_all: expected one equal size on both sides");
  device_.copy(receive, send, send_bytes[0], stream);
}

}  // namespace lockstep
