#include "core/backend/cuda/bounce_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/backend/cuda/check.h"

namespace lockstep::cuda {

BounceBuffer::BounceBuffer(Wait wait) : wait_(std::move(wait)) {
  try {
    for (Half& half : halves_) {
      check(cudaHostAlloc(reinterpret_cast<void**>(&half.memory), kHalfBytes, cudaHostAllocDefault), "cudaHostAlloc");
      check(cudaEventCreateWithFlags(&half.free, cudaEventDisableTiming), "cudaEventCreate");
    }
  } catch (...) {
    release();
    throw;
  }
}

BounceBuffer::~BounceBuffer() { release(); }

void BounceBuffer::release() noexcept {
  for (Half& half : halves_) {
    if (half.free) cudaEventDestroy(half.free);
    if (half.memory) cudaFreeHost(half.memory);
    half = {};
  }
}

BounceBuffer::Half& BounceBuffer::next() {
  Half& half = halves_[turn_];
  turn_ = 1 - turn_;
  wait_(half.free);
  return half;
}

void BounceBuffer::to_device(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  for (std::size_t at = 0; at < bytes; at += kHalfBytes) {
    const std::size_t part = std::min(kHalfBytes, bytes - at);
    const Half& half = next();
    std::memcpy(half.memory, static_cast<const std::byte*>(from) + at, part);
    check(cudaMemcpyAsync(static_cast<std::byte*>(to) + at, half.memory, part, cudaMemcpyDefault, stream), "copy to the device");
    check(cudaEventRecord(half.free, stream), "cudaEventRecord");
  }
}

void BounceBuffer::to_host(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  const Half* last = nullptr;
  std::size_t last_at = 0, last_bytes = 0;
  const auto empty = [&] {
    if (!last) return;
    wait_(last->free);
    std::memcpy(static_cast<std::byte*>(to) + last_at, last->memory, last_bytes);
  };
  for (std::size_t at = 0; at < bytes; at += kHalfBytes) {
    const std::size_t part = std::min(kHalfBytes, bytes - at);
    const Half& half = next();
    check(cudaMemcpyAsync(half.memory, static_cast<const std::byte*>(from) + at, part, cudaMemcpyDefault, stream), "copy from the device");
    check(cudaEventRecord(half.free, stream), "cudaEventRecord");
    empty();
    last = &half, last_at = at, last_bytes = part;
  }
  empty();
}

}  // namespace lockstep::cuda
