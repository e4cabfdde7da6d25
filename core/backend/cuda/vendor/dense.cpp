// y[n, o] = b[o] + sum over i of x[n, i] * w[o, i], by cuBLASLt; the bias in its epilogue, the bias gradient by column_sums.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>
#include <memory>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/vendor/cublaslt.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/backend/cuda/weights.h"

namespace lockstep::cuda {

namespace {

constexpr std::size_t kAlignment = 256, kWorkspace = std::size_t{32} << 20;

/// Weight and bias are packed to the activations' type (an f32 weight is used as it is). One algorithm serves all numbers
/// of rows where one does; a number that it refuses (a short last batch) gets one of its own at its first call, which must
/// not be while recording.
class Dense : public Kernel {
 public:
  Dense(const OpSpec& spec, const Shape& weight, bool bias, DensePass pass)
      : where_(spec.layer + ": " + spec.op),
        pass_(pass),
        out_(weight[0]),
        in_(weight[1]),
        bias_(bias),
        dtype_(spec.reads[0].spec.dtype),
        lane_rows_(std::max<std::int64_t>(1, spec.lane_rows)),
        max_rows_(pass == DensePass::backward_weights ? lane_rows_ : std::max(lane_rows_, spec.max_rows)),
        tf32_(dtype_ == Dtype::f32 && spec.attributes.has("tf32") && spec.attributes.integer("tf32") != 0) {
    if (dtype_ != Dtype::f32 && dtype_ != Dtype::bf16 && dtype_ != Dtype::f16)
      fail(ErrorKind::run_file, "{}: expected f32, bf16 or f16 activations, got {}", where_, name_of(dtype_));
    const std::size_t sums = pass == DensePass::backward_weights && bias ? column_sums_workspace(lane_rows_, out_) : 0;
    sums_bytes_ = (sums + kAlignment - 1) / kAlignment * kAlignment;
    matmul_bytes_ = kWorkspace;
    if (vendor_options().properties.empty()) choose();
  }

  std::size_t workspace_bytes() const override { return sums_bytes_ + matmul_bytes_ + kAlignment; }
  bool rows_are_independent() const override { return false; }
  std::string implementation() const override { return "cublaslt"; }

  void run(const KernelCall& call) const override {
    require(call.rows <= max_rows_, "{}: {} rows in a call of at most {}", where_, call.rows, max_rows_);
    const auto padded = (kAlignment - reinterpret_cast<std::uintptr_t>(call.workspace) % kAlignment) % kAlignment;
    std::byte* const workspace = call.workspace + padded;
    const bool to_weights = pass_ == DensePass::backward_weights;
    if (to_weights && bias_ && call.writes[1])
      column_sums(call.rows, out_, dtype_, call.reads[1], static_cast<float*>(call.writes[1]), workspace, call.stream);
    if (!call.writes[0]) return;
    if (call.rows == 0) {
      if (to_weights)
        check(cudaMemsetAsync(call.writes[0], 0, static_cast<std::size_t>(in_ * out_) * sizeof(float), native(call.stream)), "cudaMemsetAsync");
      return;
    }
    const void* const a = to_weights ? call.reads[0] : call.reads[1];
    const void* const b = to_weights ? call.reads[1] : call.reads[0];
    const void* const bias = bias_ && pass_ == DensePass::forward ? call.reads[2] : nullptr;
    const Product& product = this->product(call.rows);
    product.matmul.run(product.algorithm, a, b, call.writes[0], bias, workspace + sums_bytes_, matmul_bytes_, call.stream);
  }

  std::size_t packed_bytes(int read) const override {
    if (pass_ == DensePass::backward_weights || (read == 1 && dtype_ == Dtype::f32)) return 0;
    if (read == 1) return static_cast<std::size_t>(in_ * out_) * size_of(dtype_);
    return read == 2 ? static_cast<std::size_t>(out_) * size_of(dtype_) : 0;
  }

  void pack(int read, const float* plain, std::byte* packed, StreamView stream) const override {
    require(packed_bytes(read) > 0, "{}: operand {} is not packed", where_, read);
    pack_filters(read == 1 ? FilterShape{.out = out_, .in = in_} : FilterShape{.out = 1, .in = out_}, plain, dtype_, packed, stream);
  }

 private:
  struct Product {
    explicit Product(const MatmulProblem& problem) : matmul(problem) {}
    Matmul matmul;
    cublasLtMatmulAlgo_t algorithm{};
  };

  MatmulProblem problem(std::int64_t rows) const {
    MatmulProblem problem = dense_problem(pass_, in_, out_, rows, lane_rows_, dtype_);
    problem.tf32 = tf32_;
    problem.bias = bias_ && pass_ == DensePass::forward;
    return problem;
  }

  /// The first algorithm of the largest call that serves a full lane too and, where rows are one another's neighbours, one row.
  void choose() {
    auto largest = std::make_unique<Product>(problem(max_rows_));
    auto lane = std::make_unique<Product>(problem(lane_rows_));
    const Matmul one(problem(pass_ == DensePass::backward_weights ? lane_rows_ : 1));
    const auto listed = largest->matmul.algorithms(kWorkspace);
    for (const auto& algorithm : listed) {
      const auto most = largest->matmul.workspace_of(algorithm), usual = lane->matmul.workspace_of(algorithm);
      const auto least = one.workspace_of(algorithm);
      if (!most || !usual || !least || std::max({*most, *usual, *least}) > kWorkspace) continue;
      largest->algorithm = lane->algorithm = algorithm_ = algorithm;
      matmul_bytes_ = std::max({*most, *usual, *least});
      products_[lane_rows_] = std::move(lane);
      products_[max_rows_] = std::move(largest);
      return;
    }
    // None serves all: each number of rows by one of its own, and the executor's probe finds out.
    for (auto* product : {&largest, &lane}) {
      const auto own = (*product)->matmul.algorithms(kWorkspace);
      if (own.empty()) fail(ErrorKind::run_file, "{}: cublaslt has no algorithm", where_);
      (*product)->algorithm = algorithm_ = own.front();
    }
    products_[max_rows_] = std::move(largest);
    products_[lane_rows_] = std::move(lane);
  }

  const Product& product(std::int64_t rows) const {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Product>& entry = products_[rows];
    if (entry) return *entry;
    auto made = std::make_unique<Product>(problem(rows));
    const auto bytes = made->matmul.workspace_of(algorithm_);
    if (bytes && *bytes <= matmul_bytes_) {
      made->algorithm = algorithm_;
    } else {
      const auto own = made->matmul.algorithms(matmul_bytes_);
      if (own.empty()) fail(ErrorKind::internal, "{}: cublaslt has no algorithm for {} rows", where_, rows);
      made->algorithm = own.front();
    }
    entry = std::move(made);
    return *entry;
  }

  std::string where_;
  DensePass pass_;
  std::int64_t out_, in_;
  bool bias_;
  Dtype dtype_;
  std::int64_t lane_rows_, max_rows_;
  bool tf32_;
  std::size_t sums_bytes_ = 0, matmul_bytes_ = 0;
  cublasLtMatmulAlgo_t algorithm_{};
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, std::unique_ptr<Product>> products_;
};

const RegisterKernel forward("dense.forward", [](const OpSpec& spec) -> std::unique_ptr<Kernel> {
  return std::make_unique<Dense>(spec, spec.reads[1].spec.shape, spec.reads.size() > 2, DensePass::forward);
});
const RegisterKernel backward_data("dense.backward_data", [](const OpSpec& spec) -> std::unique_ptr<Kernel> {
  return std::make_unique<Dense>(spec, spec.reads[1].spec.shape, false, DensePass::backward_data);
});
const RegisterKernel backward_weights("dense.backward_weights", [](const OpSpec& spec) -> std::unique_ptr<Kernel> {
  return std::make_unique<Dense>(spec, spec.writes[0].spec.shape, spec.writes.size() > 1, DensePass::backward_weights);
});

}  // namespace

}  // namespace lockstep::cuda
