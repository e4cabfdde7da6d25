#include "core/backend/cpu/labels.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/base/math.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {
namespace {

template <class T>
LOCKSTEP_INLINE inline float largest(const T* z, std::int64_t k) {
  float most = to_float(z[0]);
  for (std::int64_t i = 1; i < k; ++i) most = to_float(z[i]) > most ? to_float(z[i]) : most;
  return most;
}

/// The sum of exp(z - most).
template <class T>
LOCKSTEP_INLINE inline float partition(const T* z, std::int64_t k, float most) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < k; ++i) sum += exponential(to_float(z[i]) - most);
  return sum;
}

template <class T>
void forward(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t k = spec.reads[0].spec.shape[0], rows = call.rows;
  const T* const logits = static_cast<const T*>(call.reads[0]);
  const std::int64_t* const labels = checked_labels(spec, call, k);
  const float* const weights = call.reads.size() > 2 ? static_cast<const float*>(call.reads[2]) : nullptr;
  double* const out = static_cast<double*>(call.writes[0]);
  const double smoothing = spec.attributes.real("label_smoothing");
  dispatch([=]() LOCKSTEP_INLINE {
    double loss = 0.0, weight = 0.0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const T* const z = logits + r * k;
      const float most = largest(z, k);
      const double log_sum = static_cast<double>(most) + static_cast<double>(logarithm(partition(z, k, most)));
      double mean = 0.0;
      for (std::int64_t i = 0; smoothing > 0.0 && i < k; ++i) mean += static_cast<double>(to_float(z[i]));
      mean /= static_cast<double>(k);
      double sample = (1.0 - smoothing) * (log_sum - static_cast<double>(to_float(z[labels[r]])));
      if (smoothing > 0.0) sample += smoothing * (log_sum - mean);
      const double w = weights ? static_cast<double>(weights[r]) : 1.0;
      loss += sample * w;
      weight += w;
    }
    out[0] = loss;
    out[1] = weight;
  });
}

template <class T>
void backward(const OpSpec& spec, const KernelCall& call) {
  const std::int64_t k = spec.reads[0].spec.shape[0], rows = call.rows;
  const T* const logits = static_cast<const T*>(call.reads[0]);
  const std::int64_t* const labels = static_cast<const std::int64_t*>(call.reads[1]);
  const double total = static_cast<const double*>(call.reads[2])[1];
  const float* const weights = call.reads.size() > 3 ? static_cast<const float*>(call.reads[3]) : nullptr;
  T* const gradient = static_cast<T*>(call.writes[0]);
  const bool accumulate = spec.writes[0].mode == WriteMode::accumulate;
  const double smoothing = spec.attributes.real("label_smoothing");
  const float even = static_cast<float>(smoothing / static_cast<double>(k)), sure = static_cast<float>(1.0 - smoothing);
  const double unit = total > 0.0 ? static_cast<double>(call.step->loss_scale) / total : 0.0;
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int64_t r = 0; r < rows; ++r) {
      const T* const z = logits + r * k;
      T* const g = gradient + r * k;
      const std::int64_t label = labels[r];
      const float factor = static_cast<float>(unit * (weights ? static_cast<double>(weights[r]) : 1.0));
      const float most = largest(z, k);
      const float inverse = 1.0f / partition(z, k, most);
#pragma omp simd
      for (std::int64_t i = 0; i < k; ++i) {
        const float target = even + (i == label ? sure : 0.0f);
        const float value = factor * (exponential(to_float(z[i]) - most) * inverse - target);
        store(g[i], accumulate ? to_float(g[i]) + value : value);
      }
    }
  });
}

void run_forward(const OpSpec& spec, const KernelCall& call) {
  spec.reads[0].spec.dtype == Dtype::bf16 ? forward<BFloat16>(spec, call) : forward<float>(spec, call);
}

void run_backward(const OpSpec& spec, const KernelCall& call) {
  spec.reads[0].spec.dtype == Dtype::bf16 ? backward<BFloat16>(spec, call) : backward<float>(spec, call);
}

const RegisterKernel registered_forward("cross_entropy.forward", simple_kernel(run_forward));
const RegisterKernel registered_backward("cross_entropy.backward", simple_kernel(run_backward));

}  // namespace
}  // namespace lockstep::cpu
