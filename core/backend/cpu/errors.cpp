#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {
namespace {

/// [sum of weight * mean over the elements of |p - t| or (p - t)^2, sum of weight].
template <class T, bool kSquared>
void sum(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t elements = spec.reads[0].spec.elements(), rows = call.rows;
  const T* const prediction = static_cast<const T*>(call.reads[0]);
  const float* const target = static_cast<const float*>(call.reads[1]);
  const float* const weights = call.reads.size() > 2 ? static_cast<const float*>(call.reads[2]) : nullptr;
  double* const out = static_cast<double*>(call.writes[0]);
  dispatch([=]() LOCKSTEP_INLINE {
    double loss = 0.0, weight = 0.0;
    for (std::int64_t r = 0; r < rows; ++r) {
      double sample = 0.0;
#pragma omp simd reduction(+ : sample)
      for (std::int64_t i = 0; i < elements; ++i) {
        const double d = static_cast<double>(to_float(prediction[r * elements + i])) - static_cast<double>(target[r * elements + i]);
        sample += kSquared ? d * d : __builtin_fabs(d);
      }
      const double w = weights ? static_cast<double>(weights[r]) : 1.0;
      loss += sample / static_cast<double>(elements) * w;
      weight += w;
    }
    out[0] = loss;
    out[1] = weight;
  });
}

template <class T>
void squared_backward(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t elements = spec.reads[0].spec.elements(), rows = call.rows;
  const T* const prediction = static_cast<const T*>(call.reads[0]);
  const float* const target = static_cast<const float*>(call.reads[1]);
  const double total = static_cast<const double*>(call.reads[2])[1];
  const float* const weights = call.reads.size() > 3 ? static_cast<const float*>(call.reads[3]) : nullptr;
  T* const gradient = static_cast<T*>(call.writes[0]);
  const bool accumulate = spec.writes[0].mode == WriteMode::accumulate;
  const double unit = total > 0.0 ? 2.0 * static_cast<double>(call.step->loss_scale) / (total * static_cast<double>(elements)) : 0.0;
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float factor = static_cast<float>(unit * (weights ? static_cast<double>(weights[r]) : 1.0));
#pragma omp simd
      for (std::int64_t i = r * elements; i < (r + 1) * elements; ++i) {
        const float value = factor * (to_float(prediction[i]) - target[i]);
        store(gradient[i], accumulate ? to_float(gradient[i]) + value : value);
      }
    }
  });
}

bool is_bf16(const OpSpec& spec) { return spec.reads[0].spec.dtype == Dtype::bf16; }

void run_squared(const OpSpec& spec, const KernelCall& call) {
  is_bf16(spec) ? sum<BFloat16, true>(spec, call) : sum<float, true>(spec, call);
}
void run_absolute(const OpSpec& spec, const KernelCall& call) {
  is_bf16(spec) ? sum<BFloat16, false>(spec, call) : sum<float, false>(spec, call);
}
void run_squared_backward(const OpSpec& spec, const KernelCall& call) {
  is_bf16(spec) ? squared_backward<BFloat16>(spec, call) : squared_backward<float>(spec, call);
}

const RegisterKernel registered_squared("mean_squared_error.forward", simple_kernel(run_squared));
const RegisterKernel registered_squared_backward("mean_squared_error.backward", simple_kernel(run_squared_backward));
const RegisterKernel registered_absolute("mean_absolute_error.sum", simple_kernel(run_absolute));

}  // namespace
}  // namespace lockstep::cpu
