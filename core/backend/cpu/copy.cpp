#include <cstdint>
#include <cstring>

#include "core/backend/cpu/add_to.h"
#include "core/backend/cpu/element_type.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"

namespace lockstep::cpu {
namespace {

void gradient_add(const OpSpec& op, const KernelCall& call) {
  const TensorSpec& x = op.reads[0].spec;
  with_element_type(op, x.dtype, [&](auto type) {
    using T = decltype(type);
    add_to(static_cast<const T*>(call.reads[0]), static_cast<T*>(call.writes[0]), call.rows * x.elements());
  });
}

void copy(const OpSpec& op, const KernelCall& call) {
  if (op.writes[0].mode == WriteMode::accumulate) return gradient_add(op, call);
  std::memcpy(call.writes[0], call.reads[0], static_cast<std::size_t>(call.rows) * op.reads[0].spec.bytes());
}

void zero(const OpSpec& op, const KernelCall& call) {
  std::memset(call.writes[0], 0, static_cast<std::size_t>(call.rows) * op.writes[0].spec.bytes());
}

template <class T>
void add_rows(const KernelCall& call, std::int64_t elements) {
  const auto input = [&](std::size_t i) { return static_cast<const T*>(call.reads[i]); };
  T* const y = static_cast<T*>(call.writes[0]);
  const T *a = input(0), *b = input(1);
  const T* const c = call.reads.size() > 2 ? input(2) : nullptr;
  dispatch([=]() LOCKSTEP_INLINE {
    if (c) {
#pragma omp simd
      for (std::int64_t i = 0; i < elements; ++i) store(y[i], to_float(a[i]) + to_float(b[i]) + to_float(c[i]));
    } else {
#pragma omp simd
      for (std::int64_t i = 0; i < elements; ++i) store(y[i], to_float(a[i]) + to_float(b[i]));
    }
  });
  for (std::size_t k = 3; k < call.reads.size(); ++k) add_to(input(k), y, elements);
}

void add(const OpSpec& op, const KernelCall& call) {
  const TensorSpec& x = op.reads[0].spec;
  with_element_type(op, x.dtype, [&](auto type) { add_rows<decltype(type)>(call, call.rows * x.elements()); });
}

const RegisterKernel registered[] = {{"copy", simple_kernel(copy)},
                                     {"gradient.add", simple_kernel(gradient_add)},
                                     {"gradient.zero", simple_kernel(zero)},
                                     {"add.forward", simple_kernel(add)}};

}  // namespace
}  // namespace lockstep::cpu
