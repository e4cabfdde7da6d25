#pragma once

#include <cuda_runtime.h>

#include "core/backend/cuda/check.h"

namespace lockstep::cuda {

/// Queues `kernel` on a stream. Every kernel starts through this: a header of the same name in the tests runs kernels on
/// the host, which is why kernels use no dynamic shared memory and `__shared__` arrays of fixed size alone. An empty grid
/// launches nothing.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, StreamView stream, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const auto start = [&](Parameters... values) {
    void* pointers[sizeof...(Parameters) + 1] = {static_cast<void*>(&values)...};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, 0, native(stream)), "kernel launch");
  };
  start(arguments...);
}

}  // namespace lockstep::cuda
