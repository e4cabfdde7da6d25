#include <cstring>
#include <memory>
#include <vector>

#include "tests/support/simt/runtime_state.h"

using namespace lockstep::simt;

namespace {

bool on_device(const void* at) { return kind_of(at) == MemoryKind::device; }

/// Whether the kind of copy fits the addresses.
bool fits(const void* to, const void* from, cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !on_device(to) && !on_device(from);
    case cudaMemcpyHostToDevice:
      return on_device(to) && !on_device(from);
    case cudaMemcpyDeviceToHost:
      return !on_device(to) && on_device(from);
    case cudaMemcpyDeviceToDevice:
      return on_device(to) && on_device(from);
    default:
      return true;
  }
}

/// The legacy stream's order: after all streams that did not ask to be left alone.
cudaError_t wait_for_blocking_streams(Lock& lock) {
  const std::set<FakeStream*> all = runtime().streams;
  for (FakeStream* stream : all)
    if (runtime().streams.contains(stream) && stream->blocking && stream->owner == std::this_thread::get_id()) synchronize(lock, *stream);
  return runtime().sticky;
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaMemcpyAsync", lock, stream); error != cudaSuccess) return leave(error);
  FakeStream& on = stream_of(stream);
  if (!fits(to, from, kind)) return leave(cudaErrorInvalidValue);
  if (bytes == 0) return leave(cudaSuccess);
  const bool read_now = kind_of(from) == MemoryKind::pageable, wait = kind_of(to) == MemoryKind::pageable;
  if (on.capture && (read_now || wait)) return leave(invalidate(*on.capture, cudaErrorStreamCaptureUnsupported));
  if (read_now) {
    const auto* const bytes_now = static_cast<const std::byte*>(from);
    const auto kept = std::make_shared<std::vector<std::byte>>(bytes_now, bytes_now + bytes);
    submit(on, {.kind = Operation::Kind::work, .work = [=] { std::memcpy(to, kept->data(), bytes); }});
  } else if (const cudaError_t error = submit(on, {.kind = Operation::Kind::work, .work = [=] { std::memmove(to, from, bytes); }});
             error != cudaSuccess) {
    return leave(error);
  }
  return leave(wait ? synchronize(lock, on) : cudaSuccess);
}

cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t stream) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaMemsetAsync", lock, stream); error != cudaSuccess) return leave(error);
  if (bytes == 0) return leave(cudaSuccess);
  if (!on_device(at)) return leave(cudaErrorInvalidValue);
  return leave(submit(stream_of(stream), {.kind = Operation::Kind::work, .work = [=] { std::memset(at, value, bytes); }}));
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaMemcpy", lock); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  if (!fits(to, from, kind)) return leave(cudaErrorInvalidValue);
  if (const cudaError_t error = wait_for_blocking_streams(lock); error != cudaSuccess) return leave(error);
  const OpenMemory open;
  std::memmove(to, from, bytes);
  return leave(cudaSuccess);
}

cudaError_t cudaMemset(void* at, int value, std::size_t bytes) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaMemset", lock); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  if (!on_device(at)) return leave(cudaErrorInvalidValue);
  if (const cudaError_t error = wait_for_blocking_streams(lock); error != cudaSuccess) return leave(error);
  const OpenMemory open;
  std::memset(at, value, bytes);
  return leave(cudaSuccess);
}

}  // extern "C"
