#include "core/backend/cuda/vendor/cudnn.h"

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/base/error.h"

namespace lockstep::cuda {

namespace {

const RegisterVersion version("cudnn", cudnn_version);

}  // namespace

void check(cudnnStatus_t status, std::string_view what) {
  if (status != CUDNN_STATUS_SUCCESS) fail(ErrorKind::io, "cuda: cudnn: {}: {}", what, cudnnGetErrorString(status));
}

cudnnHandle_t cudnn_handle(StreamView stream) {
  static std::mutex mutex;
  // Not destroyed at exit: the driver may be gone by then.
  static auto& handles = *new std::map<void*, cudnnHandle_t>();
  const std::lock_guard lock(mutex);
  cudnnHandle_t& handle = handles[stream.native];
  if (handle) return handle;
  cudnnHandle_t made = nullptr;
  check(cudnnCreate(&made), "cudnnCreate");
  check(cudnnSetStream(made, static_cast<cudaStream_t>(stream.native)), "cudnnSetStream");
  return handle = made;
}

PlanTarget plan_target() {
  const VendorOptions& options = vendor_options();
  if (!options.properties.empty()) return {.handle = nullptr, .properties = options.properties, .sm = options.sm};
  return {.handle = cudnn_handle({}), .properties = "", .sm = 0};
}

PlanDevice plan_device() {
  PlanDevice device{.gpu = vendor_options().gpu, .cudnn = cudnn_version()};
  if (!vendor_options().properties.empty()) return device;
  cudaDeviceProp found{};
  int number = 0;
  check(cudaGetDevice(&number), "cudaGetDevice");
  check(cudaGetDeviceProperties(&found, number), "cudaGetDeviceProperties");
  check(cudaDriverGetVersion(&device.driver), "cudaDriverGetVersion");
  device.gpu = found.name;
  return device;
}

std::string cudnn_version() {
  const std::size_t number = cudnnGetVersion();
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

}  // namespace lockstep::cuda
