#include "core/backend/cuda/cuda_backend.h"
#include "tests/support/cuda_backend.h"

namespace lockstep::test {

std::string no_cuda_backend() { return ""; }

std::unique_ptr<Backend> make_cuda_backend() { return std::make_unique<cuda::CudaBackend>(0); }

Backend& cuda_backend() {
  static auto* const one = make_cuda_backend().release();
  return *one;
}

}  // namespace lockstep::test
