#include "core/backend/cuda/vendor/matmul_problem.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/base/error.h"

namespace lockstep::cuda {

std::string MatmulProblem::text() const {
  return fmt::format("{}x{}x{} {}{} ld {},{},{} {} to {}{}{}{}", m, n, k, transpose_a ? 't' : 'n', transpose_b ? 't' : 'n', lda, ldb, ldd,
                     name_of(inputs), name_of(output), tf32 ? " tf32" : "", bias ? " bias" : "", accumulate ? " added" : "");
}

void MatmulProblem::require_valid() const {
  require(m > 0 && n > 0 && k > 0, "matmul {}: expected sizes of at least 1", text());
  require(lda >= (transpose_a ? k : m), "matmul {}: a column of A is longer than its leading dimension", text());
  require(ldb >= (transpose_b ? n : k), "matmul {}: a column of B is longer than its leading dimension", text());
  require(ldd >= m, "matmul {}: a column of D is longer than its leading dimension", text());
  const auto aligned = [](std::uint32_t alignment, Dtype dtype) { return std::has_single_bit(alignment) && alignment >= size_of(dtype); };
  require(aligned(align_a, inputs) && aligned(align_b, inputs) && aligned(align_d, output), "matmul {}: alignments {}, {}, {}", text(),
          align_a, align_b, align_d);
  require(output == inputs || output == Dtype::f32, "matmul {}: expected an output of the inputs' type or f32", text());
  require(!tf32 || inputs == Dtype::f32, "matmul {}: tf32 is for f32", text());
}

MatmulProblem dense_problem(DensePass pass, std::int64_t in, std::int64_t out, std::int64_t rows, std::int64_t lane_rows, Dtype dtype) {
  const auto promise = [&](std::int64_t columns) {
    return static_cast<std::uint32_t>(std::gcd<std::int64_t>(16, lane_rows * columns * static_cast<std::int64_t>(size_of(dtype))));
  };
  MatmulProblem problem{.inputs = dtype, .output = dtype};
  if (pass == DensePass::forward) {
    problem.m = out, problem.n = rows, problem.k = in;
    problem.transpose_a = true;
    problem.lda = in, problem.ldb = in, problem.ldd = out;
    problem.align_b = promise(in), problem.align_d = promise(out);
  } else if (pass == DensePass::backward_data) {
    problem.m = in, problem.n = rows, problem.k = out;
    problem.lda = in, problem.ldb = out, problem.ldd = in;
    problem.align_b = promise(out), problem.align_d = promise(in);
  } else {
    problem.m = in, problem.n = out, problem.k = rows;
    problem.transpose_b = true;
    problem.lda = in, problem.ldb = out, problem.ldd = in;
    problem.align_a = promise(in), problem.align_b = promise(out);
    problem.output = Dtype::f32;
  }
  return problem;
}

}  // namespace lockstep::cuda
