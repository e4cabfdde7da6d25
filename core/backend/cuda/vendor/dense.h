#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/backend/cuda/vendor/matmul_problem.h"
#include "core/backend/kernel.h"

namespace lockstep::cuda {

/// A product of every row of a sample with one matrix: a dense layer has one row a sample, a convolution of size 1 one a pixel.
struct DenseShape {
  std::int64_t out = 0, in = 0;
  std::int64_t positions = 1;  ///< rows of a sample
  bool bias = false;
  std::string layout = "[out, in]";  ///< of the packed weight: those who share one give it one name
};

/// cuBLASLt's product as a kernel, with the operands of a dense layer's pass: forward reads input, weight[, bias], writes output;
/// backward_data reads output gradient, weight, writes input gradient, or adds to it where its mode says so; backward_weights reads
/// input, output gradient, writes the gradients of weight[, bias].
std::unique_ptr<Kernel> make_dense(const OpSpec& spec, const DenseShape& shape, DensePass pass);

}  // namespace lockstep::cuda
