#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend/cuda/vendor/matmul_problem.h"
#include "core/tensor/stream.h"

namespace lockstep::cuda {

/// Throws `io` with the library's own words: `cuda: cublaslt: cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED`.
void check(cublasStatus_t status, std::string_view what);

/// One for the process and its GPU; several threads may use it. Made at the first call, which must not be while recording.
cublasLtHandle_t cublaslt_handle();

/// `13.1.0`
std::string cublaslt_version();

/// A product with its descriptors, as cublasLtMatmul wants it. Errors are `cuda: cublaslt: ...`.
class Matmul {
 public:
  /// Checks the problem. Needs no device.
  explicit Matmul(const MatmulProblem& problem);
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  /// Algorithms that do not split k, in the library's order, that need at most `workspace` bytes.
  std::vector<cublasLtMatmulAlgo_t> algorithms(std::size_t workspace) const;
  /// Workspace of an algorithm where it can serve this problem.
  std::optional<std::size_t> workspace_of(const cublasLtMatmulAlgo_t& algorithm) const;
  /// Queues. `internal` error for addresses that break the problem's promises. `workspace` is a multiple of 256.
  void run(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* d, const void* bias, std::byte* workspace,
           std::size_t workspace_bytes, StreamView stream) const;

 private:
  void set(cublasLtMatmulDescAttributes_t name, const void* value, std::size_t bytes) const;

  MatmulProblem problem_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, d_ = nullptr;
  mutable std::mutex mutex_;  ///< the bias is an attribute of the descriptor
};

}  // namespace lockstep::cuda
