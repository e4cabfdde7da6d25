#include "core/backend/cuda/vendor/cublaslt.h"

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/base/error.h"

namespace lockstep::cuda {

namespace {

constexpr int kMostAlgorithms = 32;

const RegisterVersion version("cublaslt", cublaslt_version);

cudaDataType_t type_of(Dtype dtype) {
  if (dtype == Dtype::f32) return CUDA_R_32F;
  if (dtype == Dtype::bf16) return CUDA_R_16BF;
  require(dtype == Dtype::f16, "cublaslt: expected f32, bf16 or f16, got {}", name_of(dtype));
  return CUDA_R_16F;
}

bool is_aligned(const void* address, std::uint32_t alignment) { return reinterpret_cast<std::uintptr_t>(address) % alignment == 0; }

struct Preference {
  Preference() { check(cublasLtMatmulPreferenceCreate(&native), "cublasLtMatmulPreferenceCreate"); }
  ~Preference() { cublasLtMatmulPreferenceDestroy(native); }
  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t name, T value) {
    check(cublasLtMatmulPreferenceSetAttribute(native, name, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
  }
  cublasLtMatmulPreference_t native = nullptr;
};

/// Whether a row's sum is taken by one block from first to last: parts of k that are added in the end would depend on the
/// number of parts, and that on the rows of the call.
bool takes_k_whole(const cublasLtMatmulAlgo_t& algorithm) {
  std::int32_t parts = 0;
  std::uint32_t scheme = 0;
  std::size_t written = 0;
  check(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &written), "SPLITK_NUM");
  check(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme, &written),
        "REDUCTION_SCHEME");
  return (parts == 0 || parts == 1) && scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
}

}  // namespace

void check(cublasStatus_t status, std::string_view what) {
  if (status != CUBLAS_STATUS_SUCCESS) fail(ErrorKind::io, "cuda: cublaslt: {}: {}", what, cublasLtGetStatusName(status));
}

cublasLtHandle_t cublaslt_handle() {
  // Not destroyed at exit: the driver may be gone by then.
  static const cublasLtHandle_t handle = [] {
    cublasLtHandle_t made = nullptr;
    check(cublasLtCreate(&made), "cublasLtCreate");
    return made;
  }();
  return handle;
}

std::string cublaslt_version() {
  const std::size_t number = cublasLtGetVersion();
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

Matmul::Matmul(const MatmulProblem& problem) : problem_(problem) {
  problem.require_valid();
  const auto layout = [](cublasLtMatrixLayout_t& made, Dtype dtype, std::int64_t rows, std::int64_t columns, std::int64_t ld) {
    check(cublasLtMatrixLayoutCreate(&made, type_of(dtype), static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), ld),
          "cublasLtMatrixLayoutCreate");
  };
  const auto compute = problem.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  check(cublasLtMatmulDescCreate(&operation_, compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
  const cublasOperation_t a = problem.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, b = problem.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  set(CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a);
  set(CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b);
  if (problem.bias) {
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const cudaDataType_t type = type_of(problem.output);
    // The heuristic reads the alignment of an address that it never follows.
    const void* const promise = reinterpret_cast<const void*>(std::uintptr_t{16});
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &promise, sizeof promise);
  }
  layout(a_, problem.inputs, problem.transpose_a ? problem.k : problem.m, problem.transpose_a ? problem.m : problem.k, problem.lda);
  layout(b_, problem.inputs, problem.transpose_b ? problem.n : problem.k, problem.transpose_b ? problem.k : problem.n, problem.ldb);
  layout(d_, problem.output, problem.m, problem.n, problem.ldd);
}

Matmul::~Matmul() {
  for (const auto layout : {a_, b_, d_})
    if (layout) cublasLtMatrixLayoutDestroy(layout);
  if (operation_) cublasLtMatmulDescDestroy(operation_);
}

void Matmul::set(cublasLtMatmulDescAttributes_t name, const void* value, std::size_t bytes) const {
  check(cublasLtMatmulDescSetAttribute(operation_, name, value, bytes), "cublasLtMatmulDescSetAttribute");
}

std::vector<cublasLtMatmulAlgo_t> Matmul::algorithms(std::size_t workspace) const {
  Preference preference;
  preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(workspace));
  preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE));
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, problem_.align_a);
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, problem_.align_b);
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, problem_.align_d);
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, problem_.align_d);
  std::vector<cublasLtMatmulHeuristicResult_t> results(kMostAlgorithms);
  int found = 0;
  const auto status = cublasLtMatmulAlgoGetHeuristic(cublaslt_handle(), operation_, a_, b_, d_, d_, preference.native, kMostAlgorithms,
                                                     results.data(), &found);
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return algorithms;
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  for (int i = 0; i < found; ++i) {
    const auto& result = results[static_cast<std::size_t>(i)];
    if (result.state == CUBLAS_STATUS_SUCCESS && takes_k_whole(result.algo)) algorithms.push_back(result.algo);
  }
  return algorithms;
}

std::optional<std::size_t> Matmul::workspace_of(const cublasLtMatmulAlgo_t& algorithm) const {
  cublasLtMatmulHeuristicResult_t result{};
  if (cublasLtMatmulAlgoCheck(cublaslt_handle(), operation_, a_, b_, d_, d_, &algorithm, &result) != CUBLAS_STATUS_SUCCESS) return {};
  return result.workspaceSize;
}

void Matmul::run(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* d, const void* bias, std::byte* workspace,
                 std::size_t workspace_bytes, StreamView stream) const {
  require(is_aligned(a, problem_.align_a) && is_aligned(b, problem_.align_b) && is_aligned(d, problem_.align_d) && is_aligned(bias, 16),
          "matmul {}: an address is not aligned as promised", problem_.text());
  require(problem_.bias == (bias != nullptr), "matmul {}: bias or not", problem_.text());
  const float one = 1, before = problem_.accumulate ? 1 : 0;
  const std::lock_guard lock(mutex_);
  if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
  check(cublasLtMatmul(cublaslt_handle(), operation_, &one, a, a_, b, b_, &before, d, d_, d, d_, &algorithm, workspace, workspace_bytes,
                       native(stream)),
        "cublasLtMatmul");
}

}  // namespace lockstep::cuda
