#pragma once

#include <cuda_runtime.h>

#include <tuple>
#include <utility>

#include "core/backend/cuda/check.h"
#include "tests/support/simt/block.h"
#include "tests/support/simt/fake_runtime.h"
#include "tests/support/simt/intrinsics.h"

// Blocks run one after another on a thread, so one array serves them all. A rank is a thread of its own.
#undef __shared__
#define __shared__ static thread_local
// A promise to nvcc alone.
#undef __launch_bounds__
#define __launch_bounds__(...)

namespace lockstep::cuda {

/// The twin of core/backend/cuda/nvcc/launch.h that runs kernels on the host: the launch is queued on a stream of the fake
/// runtime, and the grid runs when the stream gets there.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, StreamView stream, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  check(simt::launch(native(stream), grid, block,
                     [=] {
                       const auto thread = [&] { std::apply(kernel, values); };
                       simt::run_grid(grid, block, {[](const void* data) { (*static_cast<const decltype(thread)*>(data))(); }, &thread});
                     }),
        "kernel launch");
}

}  // namespace lockstep::cuda
