#pragma once

#include <cstdint>

#include "core/backend/cpu/simd.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {

/// y += x, rounded once.
template <class T>
void add_to(const T* x, T* y, std::int64_t elements) {
  dispatch([=]() LOCKSTEP_INLINE {
#pragma omp simd
    for (std::int64_t i = 0; i < elements; ++i) store(y[i], to_float(y[i]) + to_float(x[i]));
  });
}

}  // namespace lockstep::cpu
