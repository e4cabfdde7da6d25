#include <cstdint>

#include "core/backend/cuda/map.h"
#include "core/backend/cuda/register.h"

namespace lockstep::cuda {
namespace {

/// The sum of all inputs, from left to right, rounded once.
template <int kCount>
struct Sum {
  LOCKSTEP_FORMULA static float value(const float (&x)[kCount]) {
    float sum = x[0];
    for (int k = 1; k < kCount; ++k) sum += x[k];
    return sum;
  }
};

template <int kCount, class T>
void sum(const KernelCall& call, std::size_t first, std::int64_t elements, WriteMode mode) {
  MapOperands<T, kCount> operands;
  for (int k = 0; k < kCount; ++k) operands.x[k] = static_cast<const T*>(call.reads[first + static_cast<std::size_t>(k)]);
  operands.y = static_cast<T*>(call.writes[0]);
  launch_map<Sum<kCount>>(operands, elements, mode, call.stream);
}

void gradient_add(const OpSpec& op, const KernelCall& call) {
  const TensorSpec& x = op.reads[0].spec;
  with_element_type(op, x.dtype, [&](auto type) { sum<1, decltype(type)>(call, 0, call.rows * x.elements(), WriteMode::accumulate); });
}

void copy(const OpSpec& op, const KernelCall& call) {
  if (op.writes[0].mode == WriteMode::accumulate) return gradient_add(op, call);
  const std::size_t bytes = static_cast<std::size_t>(call.rows) * op.reads[0].spec.bytes();
  if (bytes > 0) check(cudaMemcpyAsync(call.writes[0], call.reads[0], bytes, cudaMemcpyDeviceToDevice, native(call.stream)), "copy");
}

void zero(const OpSpec& op, const KernelCall& call) {
  const std::size_t bytes = static_cast<std::size_t>(call.rows) * op.writes[0].spec.bytes();
  if (bytes > 0) check(cudaMemsetAsync(call.writes[0], 0, bytes, native(call.stream)), "zero");
}

/// Rounds where the CPU does: after the third input and after each further one.
void add(const OpSpec& op, const KernelCall& call) {
  const TensorSpec& x = op.reads[0].spec;
  const std::int64_t elements = call.rows * x.elements();
  with_element_type(op, x.dtype, [&](auto type) {
    using T = decltype(type);
    if (call.reads.size() == 2) return sum<2, T>(call, 0, elements, WriteMode::overwrite);
    sum<3, T>(call, 0, elements, WriteMode::overwrite);
    for (std::size_t k = 3; k < call.reads.size(); ++k) sum<1, T>(call, k, elements, WriteMode::accumulate);
  });
}

const RegisterKernel registered[] = {{"copy", simple_kernel(copy)},
                                     {"gradient.add", simple_kernel(gradient_add)},
                                     {"gradient.zero", simple_kernel(zero)},
                                     {"add.forward", simple_kernel(add)}};

}  // namespace
}  // namespace lockstep::cuda
