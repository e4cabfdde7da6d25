#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/backend/backend.h"
#include "distributed/communicator.h"
#include "launch/run_config.h"

namespace lockstep {

/// How the CUDA backend comes into the registry.
struct CudaPlugIn {
  std::function<bool()> has_driver;
  std::function<void()> open;  ///< `usage` error where it is not installed or does not load
};
CudaPlugIn installed_cuda_plug_in();

struct ChosenBackend {
  std::unique_ptr<Backend> backend;
  std::string note;  ///< empty, or "device: cpu, since no cuda device: ..." where there is a driver all the same
};

/// Collective. The backend of `run.device`, with `threads` workers where it is the CPU. "auto" is cuda where a driver,
/// the plug-in and a device are there. `usage` error `no cuda device: ...` where "cuda" is wanted and not to be had, and one
/// where the ranks would compute on different kinds.
ChosenBackend choose_backend(const RunOptions& options, int threads, Communicator& ranks,
                             const CudaPlugIn& cuda = installed_cuda_plug_in());

/// The GPU at hand, whose kernels time the first few engines of each problem and take the fastest. `usage` error where there is no GPU.
std::unique_ptr<Backend> open_tuning_backend(const CudaPlugIn& cuda = installed_cuda_plug_in());

}  // namespace lockstep
