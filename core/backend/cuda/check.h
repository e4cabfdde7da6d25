#pragma once

#include <cuda_runtime_api.h>

#include "core/base/error.h"
#include "core/tensor/stream.h"

namespace lockstep::cuda {

/// Throws `io` with the runtime's own words where a call failed: `cuda: cudaMalloc: out of memory`.
inline void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) fail(ErrorKind::io, "cuda: {}: {}", what, cudaGetErrorString(status));
}

inline cudaStream_t native(StreamView stream) { return static_cast<cudaStream_t>(stream.native); }

}  // namespace lockstep::cuda
