// y[n, o] = b[o] + sum over i of x[n, i] * w[o, i], by cuBLASLt; the bias in its epilogue, the bias gradient by column_sums.
#include "core/backend/cuda/vendor/dense.h"

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

constexpr std::int64_t kReferenceLanes = 16;
constexpr std::size_t kAlignment = 256, kWorkspace = std::size_t{32} << 20;

/// Weight and bias are packed to the activations' type (an f32 weight is used as it is). One algorithm serves all numbers of
/// rows: the first listed for kReferenceLanes lanes that serves one lane and one row too, so that it does not depend on the ranks that
/// share a batch. Longer calls are made in pieces. Where no algorithm serves all, each number of rows has one of its own, made at
/// its first call, which must not be while recording; the executor's probe finds out. Rows are counted, not samples.
class Dense : public Kernel {
 public:
  Dense(const OpSpec& spec, const DenseShape& shape, DensePass pass)
      : where_(spec.layer + ": " + spec.op),
        pass_(pass),
        out_(shape.out),
        in_(shape.in),
        positions_(shape.positions),
        bias_(shape.bias),
        accumulate_(spec.writes[0].mode == WriteMode::accumulate),
        layout_(shape.layout),
        dtype_(spec.reads[0].spec.dtype),
        lane_rows_(std::max<std::int64_t>(1, spec.lane_rows) * positions_),
        max_rows_(pass == DensePass::backward_weights ? lane_rows_ : std::max(lane_rows_, spec.max_rows * positions_)),
        piece_rows_(pass == DensePass::backward_weights ? lane_rows_ : std::min(max_rows_, kReferenceLanes * lane_rows_)),
        tf32_(dtype_ == Dtype::f32 && spec.attributes.has("tf32") && spec.attributes.integer("tf32") != 0) {
    if (dtype_ != Dtype::f32 && dtype_ != Dtype::bf16 && dtype_ != Dtype::f16)
      fail(ErrorKind::run_file, "{}: expected f32, bf16 or f16 activations, got {}", where_, name_of(dtype_));
    const std::size_t sums = pass == DensePass::backward_weights && bias_ ? column_sums_workspace(lane_rows_, out_) : 0;
    sums_bytes_ = (sums + kAlignment - 1) / kAlignment * kAlignment;
    matmul_bytes_ = kWorkspace;
    if (vendor_options().properties.empty()) choose();
  }

  std::size_t workspace_bytes() const override { return sums_bytes_ + matmul_bytes_ + kAlignment; }
  bool rows_are_independent() const override { return false; }
  std::string implementation() const override { return "cublaslt"; }

  void run(const KernelCall& call) const override {
    const std::int64_t rows = call.rows * positions_;
    require(rows <= max_rows_, "{}: {} rows in a call of at most {}", where_, rows, max_rows_);
    const auto padded = (kAlignment - reinterpret_cast<std::uintptr_t>(call.workspace) % kAlignment) % kAlignment;
    std::byte* const workspace = call.workspace + padded;
    const bool to_weights = pass_ == DensePass::backward_weights;
    if (to_weights && bias_ && call.writes[1])
      column_sums(rows, out_, dtype_, call.reads[1], static_cast<float*>(call.writes[1]), workspace, call.stream);
    if (!call.writes[0]) return;
    if (rows == 0) {
      if (to_weights)
        check(cudaMemsetAsync(call.writes[0], 0, static_cast<std::size_t>(in_ * out_) * sizeof(float), native(call.stream)), "cudaMemsetAsync");
      return;
    }
    const void* const bias = bias_ && pass_ == DensePass::forward ? call.reads[2] : nullptr;
    for (std::int64_t first = 0; first < rows; first += piece_rows_) {
      const auto row = [&](const void* base, std::int64_t columns) {
        return static_cast<const std::byte*>(base) + static_cast<std::size_t>(first * columns) * size_of(dtype_);
      };
      const Product& product = this->product(std::min(piece_rows_, rows - first));
      const bool forward = pass_ == DensePass::forward;
      const void* const read = row(call.reads[0], forward || to_weights ? in_ : out_);
      const void* const a = to_weights ? read : call.reads[1];
      const void* const b = to_weights ? call.reads[1] : read;
      auto* const written = static_cast<std::byte*>(call.writes[0]);
      void* const d = to_weights ? written : written + static_cast<std::size_t>(first * (forward ? out_ : in_)) * size_of(dtype_);
      product.matmul.run(product.algorithm, a, b, d, bias, workspace + sums_bytes_, matmul_bytes_, call.stream);
    }
  }

  std::size_t packed_bytes(int read) const override {
    if (pass_ == DensePass::backward_weights || (read == 1 && dtype_ == Dtype::f32)) return 0;
    if (read == 1) return static_cast<std::size_t>(in_ * out_) * size_of(dtype_);
    return read == 2 ? static_cast<std::size_t>(out_) * size_of(dtype_) : 0;
  }

  std::string packed_layout(int) const override { return fmt::format("{} {}", layout_, name_of(dtype_)); }

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
    problem.accumulate = accumulate_;
    return problem;
  }

  void choose() {
    const bool to_weights = pass_ == DensePass::backward_weights;
    const Matmul reference(problem(to_weights ? lane_rows_ : kReferenceLanes * lane_rows_)), lane(problem(lane_rows_));
    const Matmul one(problem(to_weights ? lane_rows_ : positions_)), piece(problem(piece_rows_));
    for (const auto& algorithm : reference.algorithms(kWorkspace)) {
      const auto many = reference.workspace_of(algorithm), usual = lane.workspace_of(algorithm), least = one.workspace_of(algorithm);
      if (!many || !usual || !least || std::max({*many, *usual, *least}) > kWorkspace) continue;
      algorithm_ = algorithm;
      const auto most = piece.workspace_of(algorithm);
      if (!most || *most > kWorkspace) piece_rows_ = lane_rows_;
      matmul_bytes_ = std::max({*many, *usual, *least, most.value_or(0)});
      break;
    }
    product(lane_rows_);
    product(piece_rows_);
  }

  const Product& product(std::int64_t rows) const {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Product>& entry = products_[rows];
    if (entry) return *entry;
    auto made = std::make_unique<Product>(problem(rows));
    const auto bytes = algorithm_ ? made->matmul.workspace_of(*algorithm_) : std::nullopt;
    if (bytes && *bytes <= matmul_bytes_) {
      made->algorithm = *algorithm_;
    } else {
      const auto own = made->matmul.algorithms(matmul_bytes_);
      if (own.empty()) fail(ErrorKind::run_file, "{}: cublaslt has no algorithm for {} rows", where_, rows);
      made->algorithm = own.front();
    }
    entry = std::move(made);
    return *entry;
  }

  std::string where_;
  DensePass pass_;
  std::int64_t out_, in_, positions_;
  bool bias_, accumulate_;
  std::string layout_;
  Dtype dtype_;
  std::int64_t lane_rows_, max_rows_;
  std::int64_t piece_rows_;  ///< the most rows of one product
  bool tf32_;
  std::size_t sums_bytes_ = 0, matmul_bytes_ = 0;
  std::optional<cublasLtMatmulAlgo_t> algorithm_;  ///< that serves all numbers of rows
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, std::unique_ptr<Product>> products_;
};

DenseShape shape_of(const OperandSpec& weight, bool bias) { return {.out = weight.spec.shape[0], .in = weight.spec.shape[1], .bias = bias}; }

const RegisterKernel forward("dense.forward", [](const OpSpec& spec) -> std::unique_ptr<Kernel> {
  return make_dense(spec, shape_of(spec.reads[1], spec.reads.size() > 2), DensePass::forward);
});
const RegisterKernel backward_data("dense.backward_data", [](const OpSpec& spec) -> std::unique_ptr<Kernel> {
  return make_dense(spec, shape_of(spec.reads[1], false), DensePass::backward_data);
});
const RegisterKernel backward_weights("dense.backward_weights", [](const OpSpec& spec) -> std::unique_ptr<Kernel> {
  return make_dense(spec, shape_of(spec.writes[0], spec.writes.size() > 1), DensePass::backward_weights);
});

}  // namespace

std::unique_ptr<Kernel> make_dense(const OpSpec& spec, const DenseShape& shape, DensePass pass) { return std::make_unique<Dense>(spec, shape, pass); }

}  // namespace lockstep::cuda
