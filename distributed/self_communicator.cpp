#include "distributed/self_communicator.h"

#include <cstring>

#include "core/base/error.h"

namespace lockstep {

void SelfCommunicator::broadcast(void*, std::size_t, int root) { require(root == 0, "broadcast: expected a root below 1, got {}", root); }

void SelfCommunicator::all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) {
  require(bytes.size() == 1, "all_gather: expected 1 size, got {}", bytes.size());
  if (send != receive && bytes[0] > 0) std::memcpy(receive, send, bytes[0]);
}

void SelfCommunicator::all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                                  std::span<const std::size_t> receive_bytes) {
  require(send_bytes.size() == 1 && receive_bytes.size() == 1 && send_bytes[0] == receive_bytes[0],
          "all_to_all: expected one equal size on both sides");
  if (send_bytes[0] > 0) std::memcpy(receive, send, send_bytes[0]);
}

std::unique_ptr<Communicator> SelfCommunicator::split(int) { return std::make_unique<SelfCommunicator>(); }

void SelfCommunicator::abort(int) {}

}  // namespace lockstep
