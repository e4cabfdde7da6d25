#include "core/backend/cuda/find_device.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <string>

#include "core/backend/cuda/check.h"
#include "core/base/error.h"

namespace lockstep::cuda {
namespace {

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

[[noreturn]] void fail_without(const std::string& why) { fail(ErrorKind::usage, "no cuda device: {}", why); }

}  // namespace

int count_devices(const Environment& environment) {
  int driver = 0, runtime = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) fail_without("no NVIDIA driver is installed");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver)
    fail_without(fmt::format("the driver is too old: expected one for CUDA {}, got one for CUDA {}", version_text(runtime), version_text(driver)));
  if (status != cudaSuccess && status != cudaErrorNoDevice) fail_without(fmt::format("the driver does not start: {}", cudaGetErrorString(status)));
  if (status == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  if (const char* visible = environment("CUDA_VISIBLE_DEVICES"))
    fail_without(fmt::format("CUDA_VISIBLE_DEVICES=\"{}\" hides them all", visible));
  fail_without("the driver sees no GPU");
}

int choose_device(int visible, const Environment& environment) {
  if (visible == 1) return 0;
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}) {
    const char* text = environment(name);
    if (!text || !*text) continue;
    const int rank = std::atoi(text);
    if (rank < visible) return rank;
    fail(ErrorKind::usage, "no cuda device: rank {} of this host has none: it sees {}; start {} ranks a host", rank, visible, visible);
  }
  return 0;
}

}  // namespace lockstep::cuda
