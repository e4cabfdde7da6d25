#pragma once

#include <string>

#include "core/backend/cuda/map.h"
#include "core/backend/cuda/register.h"
#include "core/model/elementwise_layer.h"

namespace lockstep {

namespace cuda {

template <class Formula>
struct ElementwiseForward {
  static constexpr int kInputs = 1;
  LOCKSTEP_FORMULA static float value(const float (&x)[1]) { return Formula::forward(x[0]); }
};

/// Inputs: dy, then x and y as far as the formula reads them.
template <class Formula>
struct ElementwiseBackward {
  static constexpr int kInputs = 1 + (Formula::kReadsInput ? 1 : 0) + (Formula::kReadsOutput ? 1 : 0);
  LOCKSTEP_FORMULA static float value(const float (&v)[kInputs]) {
    return Formula::gradient(Formula::kReadsInput ? v[Formula::kReadsInput ? 1 : 0] : 0.0f, Formula::kReadsOutput ? v[kInputs - 1] : 0.0f, v[0]);
  }
};

template <class Map>
void run_elementwise(const OpSpec& op, const KernelCall& call) {
  const TensorSpec& x = op.reads[0].spec;
  with_element_type(op, x.dtype, [&](auto type) {
    using T = decltype(type);
    MapOperands<T, Map::kInputs> operands;
    for (std::size_t k = 0; k < Map::kInputs; ++k) operands.x[k] = static_cast<const T*>(call.reads[k]);
    operands.y = static_cast<T*>(call.writes[0]);
    launch_map<Map>(operands, call.rows * x.elements(), op.writes[0].mode, call.stream);
  });
}

}  // namespace cuda

/// The CUDA twin of the CPU's: registers the kernels "<name>.forward" and "<name>.backward", and no layer.
template <class Formula>
struct RegisterElementwise {
  RegisterElementwise(const std::string& name, const std::string&) {
    const cuda::RegisterKernel forward(name + ".forward", cuda::simple_kernel(cuda::run_elementwise<cuda::ElementwiseForward<Formula>>));
    const cuda::RegisterKernel backward(name + ".backward", cuda::simple_kernel(cuda::run_elementwise<cuda::ElementwiseBackward<Formula>>));
  }
};

}  // namespace lockstep
