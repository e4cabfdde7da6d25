#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/backend/cpu/element_type.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/model/elementwise_layer.h"

namespace lockstep {

namespace cpu {

template <class Formula, class T>
void elementwise_forward(const KernelCall& call, std::int64_t elements) {
  const T* const x = static_cast<const T*>(call.reads[0]);
  T* const y = static_cast<T*>(call.writes[0]);
  dispatch([=]() LOCKSTEP_INLINE {
#pragma omp simd
    for (std::int64_t i = 0; i < elements; ++i) store(y[i], Formula::forward(to_float(x[i])));
  });
}

template <class Formula, class T>
void elementwise_backward(const KernelCall& call, std::int64_t elements, bool accumulate) {
  const T* const dy = static_cast<const T*>(call.reads[0]);
  // An operand that the formula does not read is replaced by one that is there; its value is not used.
  const T* const x = Formula::kReadsInput ? static_cast<const T*>(call.reads[1]) : dy;
  const T* const y = Formula::kReadsOutput ? static_cast<const T*>(call.reads[Formula::kReadsInput ? 2 : 1]) : dy;
  T* const dx = static_cast<T*>(call.writes[0]);
  const auto gradient = [=](std::int64_t i) LOCKSTEP_INLINE {
    return Formula::gradient(Formula::kReadsInput ? to_float(x[i]) : 0.0f, Formula::kReadsOutput ? to_float(y[i]) : 0.0f, to_float(dy[i]));
  };
  dispatch([=]() LOCKSTEP_INLINE {
    if (accumulate) {
#pragma omp simd
      for (std::int64_t i = 0; i < elements; ++i) store(dx[i], to_float(dx[i]) + gradient(i));
    } else {
#pragma omp simd
      for (std::int64_t i = 0; i < elements; ++i) store(dx[i], gradient(i));
    }
  });
}

/// Both kernels of an element-wise formula on the CPU.
template <class Formula>
struct RegisterElementwiseKernels {
  explicit RegisterElementwiseKernels(const std::string& name) {
    const RegisterKernel forward(
        name + ".forward", simple_kernel([](const OpSpec& op, const KernelCall& call) {
          const TensorSpec& x = op.reads[0].spec;
          with_element_type(op, x.dtype, [&](auto type) { elementwise_forward<Formula, decltype(type)>(call, call.rows * x.elements()); });
        }));
    const RegisterKernel backward(name + ".backward", simple_kernel([](const OpSpec& op, const KernelCall& call) {
                                    const TensorSpec& x = op.reads[0].spec;
                                    const bool accumulate = op.writes[0].mode == WriteMode::accumulate;
                                    with_element_type(op, x.dtype, [&](auto type) {
                                      elementwise_backward<Formula, decltype(type)>(call, call.rows * x.elements(), accumulate);
                                    });
                                  }));
  }
};

}  // namespace cpu

/// The last line of an element-wise layer's file: registers the layer and its kernels "<name>.forward", "<name>.backward".
template <class Formula>
struct RegisterElementwise {
  RegisterElementwise(const std::string& name, const std::string& summary, std::source_location at = std::source_location::current())
      : layer({.name = name,
               .summary = summary,
               .make = [name](Options& options) { return std::make_unique<ElementwiseLayer<Formula>>(name, options); }},
              at),
        kernels(name) {}
  Register<Layer> layer;
  cpu::RegisterElementwiseKernels<Formula> kernels;
};

}  // namespace lockstep
