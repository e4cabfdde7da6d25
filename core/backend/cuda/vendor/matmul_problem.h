#pragma once

#include <cstdint>
#include <string>

#include "core/tensor/dtype.h"

namespace lockstep::cuda {

/// D [+]= op(A) op(B) [+ bias], all stored by columns as cuBLAS sees them: D is m x n, op(A) m x k, op(B) k x n, the bias has
/// m entries and is added to every column. Leading dimensions and alignments (bytes that addresses are multiples of) are
/// promised to cuBLASLt, whose descriptors check nothing; `require_valid` does.
struct MatmulProblem {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  std::int64_t lda = 0, ldb = 0, ldd = 0;
  Dtype inputs = Dtype::f32, output = Dtype::f32;  ///< the bias has the output's type
  bool tf32 = false, bias = false, accumulate = false;
  std::uint32_t align_a = 16, align_b = 16, align_d = 16;

  /// `internal` error for sizes below one, leading dimensions shorter than a column, alignments that are no power of two or
  /// less than an element, types that cuBLASLt does not multiply together.
  void require_valid() const;
  std::string text() const;
};

enum class DensePass : std::uint8_t { forward, backward_data, backward_weights };

/// A dense layer y[rows, out] = x[rows, in] w[out, in]^T + b[out] and its gradients, every tensor by rows and without gaps:
///   forward           D = y^T  (out x rows) = w^T^T x^T     A = weight, B = input
///   backward_data     D = dx^T (in x rows)  = w^T dy^T      A = weight, B = output gradient
///   backward_weights  D = dw^T (in x out)   = x^T dy        A = input,  B = output gradient; f32
/// Calls begin at multiples of `lane_rows` rows from an address that is a multiple of 256.
MatmulProblem dense_problem(DensePass pass, std::int64_t in, std::int64_t out, std::int64_t rows, std::int64_t lane_rows, Dtype dtype);

}  // namespace lockstep::cuda
