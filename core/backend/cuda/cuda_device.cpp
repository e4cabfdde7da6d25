#include "core/backend/cuda/cuda_device.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/backend/cuda/check.h"
#include "core/base/text.h"

namespace lockstep::cuda {
namespace {

/// So long a wait asks without pause: most waits of a step are shorter than what a pause costs.
constexpr auto kAskWithoutPause = std::chrono::microseconds(200);
constexpr auto kPause = std::chrono::microseconds(20);

enum class Place { device, staging, host };

Place place_of(const void* address) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, address), "cudaPointerGetAttributes");
  if (attributes.type == cudaMemoryTypeUnregistered) return Place::host;
  return attributes.type == cudaMemoryTypeHost ? Place::staging : Place::device;
}

}  // namespace

CudaDevice::CudaDevice(int index) : index_(index) {
  use();
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  name_ = properties.name;
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
  for (int queue = 0; queue < Queue::kCount; ++queue) {
    const int priority = queue == Queue::kCommunication ? greatest : least;
    check(cudaStreamCreateWithPriority(&streams_[static_cast<std::size_t>(queue)], cudaStreamNonBlocking, priority), "cudaStreamCreate");
  }
  check(cudaEventCreateWithFlags(&order_event_, cudaEventDisableTiming), "cudaEventCreate");
  check(cudaEventCreateWithFlags(&wait_event_, cudaEventDisableTiming), "cudaEventCreate");
  bounce_ = std::make_unique<BounceBuffer>([this](cudaEvent_t event) { wait_for(event); });
}

CudaDevice::~CudaDevice() {
  if (abandoned_) {
    static_cast<void>(bounce_.release());
    return;
  }
  bounce_.reset();
  for (const cudaEvent_t event : {order_event_, wait_event_})
    if (event) cudaEventDestroy(event);
  for (const cudaStream_t stream : streams_)
    if (stream) cudaStreamDestroy(stream);
}

void CudaDevice::use() const {
  thread_local int current = -1;
  if (current == index_) return;
  check(cudaSetDevice(index_), "cudaSetDevice");
  current = index_;
}

void* CudaDevice::allocate(std::size_t bytes, std::string_view what) {
  if (bytes == 0) return nullptr;
  use();
  require(!recording_, "cuda: memory for {} is asked for in a recording", what);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    fail(ErrorKind::usage,
         "cuda: no memory for {} on {}: expected {}, got {} free of {}; start more ranks, or set a smaller data.global_batch", what, name_,
         format_bytes(bytes), format_bytes(free), format_bytes(total));
  }
  check(status, "cudaMalloc");
  try {
    zero(memory, bytes, stream(Queue::kMain));
    wait(stream(Queue::kMain));
  } catch (...) {
    release(memory);
    throw;
  }
  return memory;
}

void CudaDevice::release(void* memory) noexcept {
  if (memory && !abandoned_) cudaFree(memory);
}

std::size_t CudaDevice::memory_in_use() {
  use();
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return total - free;
}

void* CudaDevice::allocate_staging(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  use();
  require(!recording_, "cuda: staging memory is asked for in a recording");
  void* memory = nullptr;
  const cudaError_t status = cudaHostAlloc(&memory, bytes, cudaHostAllocDefault);
  if (status != cudaSuccess) {
    cudaGetLastError();
    fail(ErrorKind::io, "cuda: no pinned memory: expected {}: {}", format_bytes(bytes), cudaGetErrorString(status));
  }
  std::memset(memory, 0, bytes);
  return memory;
}

void CudaDevice::release_staging(void* memory) noexcept {
  if (memory && !abandoned_) cudaFreeHost(memory);
}

StreamView CudaDevice::stream(int queue) { return {streams_[static_cast<std::size_t>(queue)]}; }

void CudaDevice::copy(void* to, const void* from, std::size_t bytes, StreamView stream) {
  if (bytes == 0 || to == from) return;
  use();
  const Place source = place_of(from), target = place_of(to);
  const bool through_host = source == Place::host || target == Place::host || (source == Place::staging && target == Place::staging);
  if (!through_host)
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, native(stream)), "copy");
  else
    copy_through_host(to, from, bytes, stream);
}

void CudaDevice::copy_through_host(void* to, const void* from, std::size_t bytes, StreamView stream) {
  require(!recording_, "cuda: a recording copies between the device and staging memory alone, got host memory");
  if (place_of(to) == Place::device) return bounce_->to_device(to, from, bytes, native(stream));
  if (place_of(from) == Place::device) return bounce_->to_host(to, from, bytes, native(stream));
  wait(stream);
  std::memmove(to, from, bytes);
}

void CudaDevice::zero(void* at, std::size_t bytes, StreamView stream) {
  if (bytes == 0) return;
  use();
  check(cudaMemsetAsync(at, 0, bytes, native(stream)), "zero");
}

void CudaDevice::order(StreamView before, StreamView after) {
  if (before.native == after.native) return;
  use();
  check(link(before, after), "the order of two queues");
}

cudaError_t CudaDevice::link(StreamView before, StreamView after) {
  // What waits for an event waits for its last record before the wait was queued, so that one event serves all.
  const cudaError_t recorded = cudaEventRecord(order_event_, native(before));
  return recorded == cudaSuccess ? cudaStreamWaitEvent(native(after), order_event_, 0) : recorded;
}

void CudaDevice::wait(StreamView stream) {
  use();
  require(!recording_, "cuda: a recording waits for the device");
  check(cudaEventRecord(wait_event_, native(stream)), "cudaEventRecord");
  wait_for(wait_event_);
}

void CudaDevice::ask_watch() {
  if (!watch_) return;
  try {
    watch_();
  } catch (...) {
    abandoned_ = true;
    throw;
  }
}

void CudaDevice::wait_for(cudaEvent_t event) {
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    const cudaError_t status = cudaEventQuery(event);
    if (status == cudaSuccess) return;
    if (status != cudaErrorNotReady) check(status, "work on the device");
    ask_watch();
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited > longest_wait_) {
      abandoned_ = true;
      fail(ErrorKind::io, "cuda: work on the device is not done after {} s: a rank that its collectives wait for may be lost",
           std::chrono::duration_cast<std::chrono::seconds>(waited).count());
    }
    if (waited > kAskWithoutPause)
      std::this_thread::sleep_for(kPause);
    else
      std::this_thread::yield();
  }
}

}  // namespace lockstep::cuda
