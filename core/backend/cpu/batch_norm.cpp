#include "core/backend/cpu/batch_norm.h"

#include <algorithm>

namespace lockstep::cpu {
namespace {

/// Sums of `n` positions, one number a channel; four positions at a time spare loads and stores of the sums.
template <class T>
LOCKSTEP_INLINE inline void sum_block(const T* x, std::int64_t n, std::int64_t channels, float* sum) {
  for (std::int64_t c = 0; c < channels; ++c) sum[c] = 0.0f;
  std::int64_t p = 0;
  for (; p + 4 <= n; p += 4) {
    const T* row = x + p * channels;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c)
      sum[c] += (to_float(row[c]) + to_float(row[c + channels])) + (to_float(row[c + 2 * channels]) + to_float(row[c + 3 * channels]));
  }
  for (; p < n; ++p) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) sum[c] += to_float(x[p * channels + c]);
  }
}

/// Sums of the deviations from `mean` and of their squares.
template <class T>
LOCKSTEP_INLINE inline void deviations_block(const T* x, std::int64_t n, std::int64_t channels, const float* mean, float* sum,
                                             float* square) {
  for (std::int64_t c = 0; c < channels; ++c) sum[c] = square[c] = 0.0f;
  std::int64_t p = 0;
  for (; p + 4 <= n; p += 4) {
    const T* row = x + p * channels;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float m = mean[c];
      const float d0 = to_float(row[c]) - m, d1 = to_float(row[c + channels]) - m;
      const float d2 = to_float(row[c + 2 * channels]) - m, d3 = to_float(row[c + 3 * channels]) - m;
      sum[c] += (d0 + d1) + (d2 + d3);
      square[c] += __builtin_fmaf(d0, d0, d1 * d1) + __builtin_fmaf(d2, d2, d3 * d3);
    }
  }
  for (; p < n; ++p) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float d = to_float(x[p * channels + c]) - mean[c];
      sum[c] += d;
      square[c] = __builtin_fmaf(d, d, square[c]);
    }
  }
}

/// The corrected two-pass algorithm on blocks that stay in the first cache, so memory is read once; blocks are joined in
/// f64 (Chan et al. 1983). No square of a value is ever subtracted from another, so a large mean costs no digits.
template <class T>
void moments(const BatchNormSpec& spec, const KernelCall& call) {
  const T* x = static_cast<const T*>(call.reads[0]);
  double* const out = static_cast<double*>(call.writes[0]);
  const std::int64_t channels = spec.channels, total = call.rows * spec.positions, block = spec.block();
  float* const mean = reinterpret_cast<float*>(call.workspace);
  float* const sum = mean + spec.stride();
  float* const square = sum + spec.stride();
  dispatch([=]() LOCKSTEP_INLINE {
    double* const all_mean = out + 1;
    double* const all_m2 = out + 1 + channels;
    for (std::int64_t c = 0; c < 1 + 2 * channels; ++c) out[c] = 0.0;
    for (std::int64_t first = 0; first < total; first += block) {
      const std::int64_t n = total - first < block ? total - first : block;
      sum_block(x + first * channels, n, channels, mean);
      const float share = 1.0f / static_cast<float>(n);
      for (std::int64_t c = 0; c < channels; ++c) mean[c] *= share;
      deviations_block(x + first * channels, n, channels, mean, sum, square);
      const double right = static_cast<double>(n) / static_cast<double>(first + n);
      const double weight = static_cast<double>(first) * right, part = 1.0 / static_cast<double>(n);
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const double shift = static_cast<double>(sum[c]) * part;
        const double delta = static_cast<double>(mean[c]) + shift - all_mean[c];
        // Of equal values nothing but rounding is left, which may fall below zero.
        const double inside = static_cast<double>(square[c]) - static_cast<double>(sum[c]) * shift;
        all_m2[c] += (inside > 0.0 ? inside : 0.0) + delta * delta * weight;
        all_mean[c] += delta * right;
      }
    }
    out[0] = static_cast<double>(total);
  });
}

void run_moments(const BatchNormSpec& spec, const OpSpec&, const KernelCall& call) {
  spec.bf16 ? moments<BFloat16>(spec, call) : moments<float>(spec, call);
}

/// y = x * scale + shift [+ residual] [, relu]; a NaN stays one.
template <class T, bool kAdd, bool kRelu>
void apply(const T* x, const T* residual, T* y, const float* scale, const float* shift, std::int64_t positions, std::int64_t channels) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int64_t p = 0; p < positions; ++p) {
      const T* const from = x + p * channels;
      const T* const other = kAdd ? residual + p * channels : from;
      T* const to = y + p * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        float value = __builtin_fmaf(to_float(from[c]), scale[c], shift[c]);
        if constexpr (kAdd) value += to_float(other[c]);
        if constexpr (kRelu) value = 0.0f > value ? 0.0f : value;
        store(to[c], value);
      }
    }
  });
}

template <class T>
void apply(const BatchNormSpec& spec, const KernelCall& call, const float* scale, const float* shift) {
  const T* x = static_cast<const T*>(call.reads[0]);
  const T* residual = spec.add ? static_cast<const T*>(call.reads.back()) : nullptr;
  T* y = static_cast<T*>(call.writes[0]);
  const auto run =
      spec.add ? (spec.relu ? apply<T, true, true> : apply<T, true, false>) : (spec.relu ? apply<T, false, true> : apply<T, false, false>);
  run(x, residual, y, scale, shift, call.rows * spec.positions, spec.channels);
}

void run_normalize(const BatchNormSpec& spec, const OpSpec&, const KernelCall& call) {
  const float* weight = static_cast<const float*>(call.reads[1]);
  const float* bias = static_cast<const float*>(call.reads[2]);
  const Moments moments(call.reads[3], spec.channels);
  float* const scale = reinterpret_cast<float*>(call.workspace);
  float* const shift = scale + spec.stride();
  scale_and_shift(moments, spec.epsilon, weight, bias, spec.channels, scale, shift);
  spec.bf16 ? apply<BFloat16>(spec, call, scale, shift) : apply<float>(spec, call, scale, shift);
}

void run_inference(const BatchNormSpec& spec, const OpSpec&, const KernelCall& call) {
  const float* weight = static_cast<const float*>(call.reads[1]);
  const float* bias = static_cast<const float*>(call.reads[2]);
  const float* mean = static_cast<const float*>(call.reads[3]);
  const float* variance = static_cast<const float*>(call.reads[4]);
  float* const scale = reinterpret_cast<float*>(call.workspace);
  float* const shift = scale + spec.stride();
  const double epsilon = spec.epsilon;
  const std::int64_t channels = spec.channels;
  dispatch([=]() LOCKSTEP_INLINE {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const double a = static_cast<double>(weight[c]) / __builtin_sqrt(static_cast<double>(variance[c]) + epsilon);
      scale[c] = static_cast<float>(a);
      shift[c] = static_cast<float>(static_cast<double>(bias[c]) - static_cast<double>(mean[c]) * a);
    }
  });
  spec.bf16 ? apply<BFloat16>(spec, call, scale, shift) : apply<float>(spec, call, scale, shift);
}

/// The moving averages take the mean of the groups' means and unbiased variances; empty groups do not count.
void run_update_moving(const BatchNormSpec& spec, const OpSpec&, const KernelCall& call) {
  const double* totals = static_cast<const double*>(call.reads[0]);
  float* const running_mean = static_cast<float*>(call.writes[0]);
  float* const running_var = static_cast<float*>(call.writes[1]);
  const std::int64_t size = 1 + 2 * spec.channels;
  double filled = 0;
  for (std::int64_t g = 0; g < spec.groups; ++g) filled += totals[g * size] > 0 ? 1 : 0;
  if (filled == 0) return;
  for (std::int64_t c = 0; c < spec.channels; ++c) {
    double mean = 0, variance = 0;
    for (std::int64_t g = 0; g < spec.groups; ++g) {
      const Moments moments(totals + g * size, spec.channels);
      mean += moments.mean[c];
      variance += moments.m2[c] / std::max(moments.count - 1.0, 1.0);
    }
    running_mean[c] = static_cast<float>((1.0 - spec.momentum) * static_cast<double>(running_mean[c]) + spec.momentum * mean / filled);
    running_var[c] = static_cast<float>((1.0 - spec.momentum) * static_cast<double>(running_var[c]) + spec.momentum * variance / filled);
  }
}

const RegisterKernel registered_moments("batch_norm.moments", batch_norm_kernel(run_moments, 3));
const RegisterKernel registered_update("batch_norm.update_moving", batch_norm_kernel(run_update_moving, 0));
const RegisterKernel registered_normalize("batch_norm.normalize", batch_norm_kernel(run_normalize, 2));
const RegisterKernel registered_inference("batch_norm.inference", batch_norm_kernel(run_inference, 2));

}  // namespace
}  // namespace lockstep::cpu
