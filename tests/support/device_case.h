#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor/dtype.h"
#include "tests/support/cuda_backend.h"
#include "tests/support/layer_case.h"
#include "tests/support/op_case.h"

namespace lockstep::test {

/// What `expect_like_cpu` compares, and how closely.
struct LikeCpu {
  std::vector<Dtype> dtypes = {Dtype::f32, Dtype::bf16, Dtype::f16};
  std::vector<int> f32_inputs;  ///< inputs that stay f32 in the 16-bit types (targets, weights)
  std::int64_t rows = 6;
  int lanes = 4;
  std::int64_t first_row = 0;
  std::int64_t integer_limit = 3;
  /// Relative to the largest value of the operand; f16 is compared with the CPU's f32 on rounded operands. 0 asks for the
  /// same bits (f32 and bf16).
  double f32_tolerance = 1e-5, bf16_tolerance = 1.0 / 128, f16_tolerance = 1.0 / 512;
  bool any_rows = true;  ///< a row's bits do not depend on the rows of a call: asked of our own kernels; the vendors' are tried at binding
  std::function<void(LayerCase&)> prepare;  ///< further settings and operands, of both sides alike
};

/// Runs a layer, loss or metric on the CPU and on CUDA with the same operands, forward, backward and evaluate, and compares
/// all results and statistics. On CUDA also: the same bits twice, with few rows a call, with lanes alone and together;
/// accumulating and skipping. `make` is called twice a type. `inputs` as for f32.
///
///   expect_like_cpu([] { return make_from<Layer>("relu"); }, {{{5, 3, 8}}});
///   expect_like_cpu([] { return make_from<Loss>({{"cross_entropy", Value::text("target")}}); }, {{{10}}, {{}, Dtype::i64}}, {.lanes = 3});
void expect_like_cpu(const std::function<std::unique_ptr<const Layer>()>& make, const std::vector<TensorSpec>& inputs, const LikeCpu& how = {});

}  // namespace lockstep::test
