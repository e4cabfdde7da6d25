#include <algorithm>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "tests/support/simt/runtime_state.h"

namespace lockstep::simt {

namespace {

thread_local cudaError_t last_error = cudaSuccess;

}  // namespace

Machine& machine() { return runtime().machine; }

int& current_device() {
  thread_local int device = 0;
  return device;
}

cudaError_t enter(const char* name, Lock&) {
  Runtime& r = runtime();
  ++r.calls[name];
  if (in_host_function()) return cudaErrorNotPermitted;
  if (r.machine.driver == 0) return cudaErrorInsufficientDriver;
  if (r.machine.devices == 0) return cudaErrorNoDevice;
  for (auto it = r.failures.begin(); it != r.failures.end(); ++it) {
    if (!it->call.empty() && it->call != name) continue;
    if (it->after-- > 0) continue;
    const Failure failure = *it;
    r.failures.erase(it);
    if (failure.for_good && r.sticky == cudaSuccess) r.sticky = failure.error;
    return failure.error;
  }
  return r.sticky;
}

cudaError_t enter(const char* name, Lock& lock, cudaStream_t stream) {
  const cudaError_t error = enter(name, lock);
  if (error != cudaSuccess) return error;
  return runtime().streams.contains(&stream_of(stream)) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t leave(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

void stick(const std::string& text) {
  Runtime& r = runtime();
  std::fprintf(stderr, "simt: queued work failed: %s\n", text.c_str());
  if (r.sticky != cudaSuccess) return;
  r.sticky = cudaErrorLaunchFailure;
  r.sticky_text = "unspecified launch failure: " + text;
}

void fail_call(const Failure& failure) {
  const Lock lock(runtime().mutex);
  runtime().failures.push_back(failure);
}

int calls(const std::string& name) {
  const Lock lock(runtime().mutex);
  const auto it = runtime().calls.find(name);
  return it == runtime().calls.end() ? 0 : it->second;
}

void reset() {
  const Lock lock(runtime().mutex);
  Runtime& r = runtime();
  r.failures.clear();
  r.calls.clear();
  r.machine = {};
  r.sticky = cudaSuccess;
  for (FakeStream* stream : r.streams) stream->queue.clear();
  last_error = cudaSuccess;
}

}  // namespace lockstep::simt

using namespace lockstep::simt;

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine().driver;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  Lock lock(runtime().mutex);
  *count = 0;
  if (const cudaError_t error = enter("cudaGetDeviceCount", lock); error != cudaSuccess) return leave(error);
  *count = machine().devices;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaSetDevice", lock); error != cudaSuccess) return leave(error);
  if (device < 0 || device >= machine().devices) return leave(cudaErrorInvalidDevice);
  current_device() = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaGetDevice", lock); error != cudaSuccess) return leave(error);
  *device = current_device();
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaGetDeviceProperties", lock); error != cudaSuccess) return leave(error);
  if (device < 0 || device >= machine().devices) return leave(cudaErrorInvalidDevice);
  *properties = {};
  std::strncpy(properties->name, "simulated GPU", sizeof properties->name - 1);
  std::fill_n(properties->uuid.bytes, sizeof properties->uuid.bytes, static_cast<char>(device + 1));
  properties->totalGlobalMem = machine().memory;
  properties->sharedMemPerBlock = 48 << 10;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024, properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = 0x7FFFFFFF, properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  properties->major = machine().capability_major, properties->minor = machine().capability_minor;
  properties->multiProcessorCount = machine().multiprocessors;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->l2CacheSize = 60 << 20;
  properties->asyncEngineCount = 3;
  properties->unifiedAddressing = 1;
  properties->concurrentKernels = 1;
  properties->pciBusID = machine().same_bus ? 1 : device + 1;
  return leave(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      break;
    default:
      return leave(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaDeviceGetPCIBusId", lock); error != cudaSuccess) return leave(error);
  if (device < 0 || device >= machine().devices) return leave(cudaErrorInvalidDevice);
  const std::string id = fmt::format("0000:{:02X}:00.0", machine().same_bus ? 1 : device + 1);
  if (length <= static_cast<int>(id.size())) return leave(cudaErrorInvalidValue);
  std::memcpy(text, id.c_str(), id.size() + 1);
  return leave(cudaSuccess);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaFuncGetAttributes", lock); error != cudaSuccess) return leave(error);
  if (!function) return leave(cudaErrorInvalidDeviceFunction);
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024;
  attributes->binaryVersion = attributes->ptxVersion = 10 * machine().capability_major + machine().capability_minor;
  return leave(cudaSuccess);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* at) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaPointerGetAttributes", lock); error != cudaSuccess) return leave(error);
  *attributes = {};
  const MemoryKind::Kind kind = kind_of(at);
  attributes->type = kind == MemoryKind::device   ? cudaMemoryTypeDevice
                     : kind == MemoryKind::pinned ? cudaMemoryTypeHost
                                                  : cudaMemoryTypeUnregistered;
  attributes->devicePointer = kind == MemoryKind::device ? const_cast<void*>(at) : nullptr;
  attributes->hostPointer = kind == MemoryKind::pinned ? const_cast<void*>(at) : nullptr;
  return leave(cudaSuccess);
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorName(cudaError_t error) {
  thread_local std::string text;
  text = fmt::format("cudaError {}", static_cast<int>(error));
  return text.c_str();
}

const char* cudaGetErrorString(cudaError_t error) {
  static const std::map<cudaError_t, const char*> known = {
      {cudaSuccess, "no error"},
      {cudaErrorInvalidValue, "invalid argument"},
      {cudaErrorMemoryAllocation, "out of memory"},
      {cudaErrorInvalidConfiguration, "invalid configuration argument"},
      {cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"},
      {cudaErrorNoDevice, "no CUDA-capable device is detected"},
      {cudaErrorInvalidDevice, "invalid device ordinal"},
      {cudaErrorInvalidResourceHandle, "invalid resource handle"},
      {cudaErrorIllegalState, "the operation cannot be performed in the present state"},
      {cudaErrorNotReady, "device not ready"},
      {cudaErrorIllegalAddress, "an illegal memory access was encountered"},
      {cudaErrorLaunchFailure, "unspecified launch failure"},
      {cudaErrorNotPermitted, "operation not permitted"},
      {cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"},
      {cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"},
      {cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"},
      {cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"},
      {cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"},
      {cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"},
      {cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"},
      {cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread"},
      {cudaErrorUnknown, "unknown error"},
  };
  thread_local std::string text;
  {
    const Lock lock(runtime().mutex);
    if (error == cudaErrorLaunchFailure && !runtime().sticky_text.empty()) {
      text = runtime().sticky_text;
      return text.c_str();
    }
  }
  const auto it = known.find(error);
  return it == known.end() ? "an error that the fake runtime does not name" : it->second;
}

}  // extern "C"
