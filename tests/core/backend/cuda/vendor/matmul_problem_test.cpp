// The products behind dense layers, taken literally: columns, leading dimensions and transposes as cuBLAS reads them.
#include "core/backend/cuda/vendor/matmul_problem.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/backend/cuda/vendor/cublaslt.h"
#include "core/base/error.h"

namespace lockstep::cuda {
namespace {

using Matrix = std::vector<double>;

Matrix numbers(std::int64_t count, int salt) {
  Matrix made;
  for (std::int64_t i = 0; i < count; ++i) made.push_back(static_cast<double>((i * 7 + salt) % 11) - 5);
  return made;
}

Matrix multiply(const MatmulProblem& p, const Matrix& a, const Matrix& b, const Matrix& bias, std::int64_t elements) {
  Matrix d(static_cast<std::size_t>(elements), -99);
  const auto at = [](const Matrix& matrix, std::int64_t row, std::int64_t column, std::int64_t ld) {
    return matrix.at(static_cast<std::size_t>(row + column * ld));
  };
  for (std::int64_t row = 0; row < p.m; ++row)
    for (std::int64_t column = 0; column < p.n; ++column) {
      double sum = p.bias ? bias.at(static_cast<std::size_t>(row)) : 0;
      for (std::int64_t i = 0; i < p.k; ++i)
        sum += (p.transpose_a ? at(a, i, row, p.lda) : at(a, row, i, p.lda)) * (p.transpose_b ? at(b, column, i, p.ldb) : at(b, i, column, p.ldb));
      d.at(static_cast<std::size_t>(row + column * p.ldd)) = sum;
    }
  return d;
}

struct DenseSizes {
  std::int64_t rows, in, out;
};
const DenseSizes kSizes[] = {{1, 1, 1}, {3, 5, 7}, {16, 128, 10}, {5, 1, 4}, {2, 9, 1}};

TEST(MatmulProblemTest, ForwardIsInputTimesTransposedWeightPlusBias) {
  for (const auto& [rows, in, out] : kSizes) {
    MatmulProblem p = dense_problem(DensePass::forward, in, out, rows, rows, Dtype::f32);
    p.bias = true;
    p.require_valid();
    const Matrix x = numbers(rows * in, 1), w = numbers(out * in, 2), b = numbers(out, 3);
    const Matrix y = multiply(p, w, x, b, rows * out);
    for (std::int64_t n = 0; n < rows; ++n)
      for (std::int64_t o = 0; o < out; ++o) {
        double sum = b[static_cast<std::size_t>(o)];
        for (std::int64_t i = 0; i < in; ++i) sum += x[static_cast<std::size_t>(n * in + i)] * w[static_cast<std::size_t>(o * in + i)];
        EXPECT_EQ(y[static_cast<std::size_t>(n * out + o)], sum);
      }
  }
}

TEST(MatmulProblemTest, BackwardDataIsOutputGradientTimesWeight) {
  for (const auto& [rows, in, out] : kSizes) {
    const MatmulProblem p = dense_problem(DensePass::backward_data, in, out, rows, rows, Dtype::bf16);
    p.require_valid();
    const Matrix dy = numbers(rows * out, 1), w = numbers(out * in, 2);
    const Matrix dx = multiply(p, w, dy, {}, rows * in);
    for (std::int64_t n = 0; n < rows; ++n)
      for (std::int64_t i = 0; i < in; ++i) {
        double sum = 0;
        for (std::int64_t o = 0; o < out; ++o) sum += dy[static_cast<std::size_t>(n * out + o)] * w[static_cast<std::size_t>(o * in + i)];
        EXPECT_EQ(dx[static_cast<std::size_t>(n * in + i)], sum);
      }
  }
}

TEST(MatmulProblemTest, BackwardWeightsIsTransposedOutputGradientTimesInput) {
  for (const auto& [rows, in, out] : kSizes) {
    const MatmulProblem p = dense_problem(DensePass::backward_weights, in, out, rows, rows, Dtype::f16);
    p.require_valid();
    EXPECT_EQ(p.output, Dtype::f32);
    const Matrix x = numbers(rows * in, 1), dy = numbers(rows * out, 2);
    const Matrix dw = multiply(p, x, dy, {}, out * in);
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t i = 0; i < in; ++i) {
        double sum = 0;
        for (std::int64_t n = 0; n < rows; ++n) sum += dy[static_cast<std::size_t>(n * out + o)] * x[static_cast<std::size_t>(n * in + i)];
        EXPECT_EQ(dw[static_cast<std::size_t>(o * in + i)], sum);
      }
  }
}

TEST(MatmulProblemTest, AlignmentIsWhatTheRowsOfALaneLeave) {
  EXPECT_EQ(dense_problem(DensePass::forward, 128, 10, 16, 16, Dtype::bf16).align_d, 16u);
  EXPECT_EQ(dense_problem(DensePass::forward, 128, 10, 256, 2, Dtype::bf16).align_d, 8u);
  EXPECT_EQ(dense_problem(DensePass::forward, 128, 10, 256, 1, Dtype::bf16).align_d, 4u);
  EXPECT_EQ(dense_problem(DensePass::forward, 7, 16, 256, 1, Dtype::f16).align_b, 2u);
  EXPECT_EQ(dense_problem(DensePass::backward_data, 7, 3, 256, 1, Dtype::f32).align_b, 4u);
  EXPECT_EQ(dense_problem(DensePass::backward_weights, 7, 3, 2, 2, Dtype::f32).align_a, 8u);
}

TEST(MatmulProblemTest, WhatDescriptorsAcceptInSilenceIsRefused) {
  const MatmulProblem good = dense_problem(DensePass::forward, 8, 16, 4, 4, Dtype::bf16);
  const auto refused = [&](auto change) {
    MatmulProblem p = good;
    change(p);
    EXPECT_THROW(p.require_valid(), Error);
    EXPECT_THROW(Matmul{p}, Error);
  };
  good.require_valid();
  refused([](auto& p) { p.n = 0; });
  refused([](auto& p) { p.lda = 7; });
  refused([](auto& p) { p.ldb = 7; });
  refused([](auto& p) { p.ldd = 15; });
  refused([](auto& p) { p.align_a = 3; });
  refused([](auto& p) { p.align_b = 1; });
  refused([](auto& p) { p.output = Dtype::f16; });
  refused([](auto& p) { p.tf32 = true; });
}

TEST(MatmulTest, DescriptorsAreMadeForEveryPassAndTypeWithoutADevice) {
  for (const DensePass pass : {DensePass::forward, DensePass::backward_data, DensePass::backward_weights})
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
      MatmulProblem p = dense_problem(pass, 128, 10, 16, 16, dtype);
      p.bias = pass == DensePass::forward;
      p.tf32 = dtype == Dtype::f32;
      EXPECT_NO_THROW(Matmul{p});
    }
}

TEST(MatmulTest, AnAddressThatBreaksItsPromiseIsRefusedBeforeTheLibrarySeesIt) {
  const Matmul matmul(dense_problem(DensePass::forward, 8, 16, 4, 4, Dtype::bf16));
  const auto at = [](std::uintptr_t address) { return reinterpret_cast<void*>(address); };
  const auto text = [&](void* a, void* d, void* bias) {
    try {
      matmul.run({}, a, at(256), d, bias, nullptr, 0, {});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(text(at(264), at(256), nullptr).find("not aligned as promised"), std::string::npos);
  EXPECT_NE(text(at(256), at(257), nullptr).find("not aligned as promised"), std::string::npos);
  EXPECT_NE(text(at(256), at(256), at(16)).find("bias or not"), std::string::npos);
}

TEST(MatmulTest, WithoutADeviceTheLibrarysOwnWordsAreGiven) {
  try {
    Matmul(dense_problem(DensePass::forward, 8, 16, 4, 4, Dtype::bf16)).algorithms(0);
    GTEST_SKIP() << "there is a device";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "cuda: cublaslt: cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED");
  }
}

}  // namespace
}  // namespace lockstep::cuda
