#include "core/backend/cuda/cuda_backend.h"
#include "tests/support/cuda_backend.h"

namespace lockstep::test {

std::string no_cuda_backend() { return ""; }

Backend& cuda_backend() {
  static auto* const one = new cuda::CudaBackend(0);
  return *one;
}

}  // namespace lockstep::test
