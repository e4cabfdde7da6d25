#include "core/backend/cpu/batch_norm.h"

namespace lockstep::cpu {
namespace {

/// Whether a gradient is wanted, and how it is written; a template argument, so that the loops have no branches.
enum class Gradient { none, overwrite, accumulate };

Gradient gradient_of(WriteMode mode) {
  if (mode == WriteMode::skip) return Gradient::none;
  return mode == WriteMode::accumulate ? Gradient::accumulate : Gradient::overwrite;
}

/// How the gradient is masked by relu: by the output, or by what the input becomes.
enum class Mask { none, output, input };

Mask mask_of(const BatchNormSpec& spec, bool frozen) {
  if (!spec.relu) return Mask::none;
  return spec.add || frozen ? Mask::output : Mask::input;
}

template <class T>
struct Sums {
  const T *x, *dy, *y;
  const float *scale, *shift;  ///< of the forward pass, for Mask::input
  T* residual;  ///< gradient of the residual: the masked dy
  const float* mean;
  float *sum, *product;  ///< of one block
  double *all_sum, *all_product;
  std::int64_t positions, channels, block;
};

/// Sums of dy and of dy * (x - mean) over the positions, dy masked by relu: f32 inside a block, f64 over blocks.
template <class T, Mask kMask, Gradient kResidual>
void sums(Sums<T> s) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int64_t c = 0; c < s.channels; ++c) s.all_sum[c] = s.all_product[c] = 0.0;
    for (std::int64_t first = 0; first < s.positions; first += s.block) {
      const std::int64_t last = s.positions - first < s.block ? s.positions : first + s.block;
      float* const sum = s.sum;
      float* const product = s.product;
      const float* const mean = s.mean;
      const float* const scale = s.scale;
      const float* const shift = s.shift;
      for (std::int64_t c = 0; c < s.channels; ++c) sum[c] = product[c] = 0.0f;
      const auto take = [&](std::int64_t i, std::int64_t c, float& total, float& times) LOCKSTEP_INLINE {
        float d = to_float(s.dy[i]);
        if constexpr (kMask == Mask::output) d = to_float(s.y[i]) > 0.0f ? d : 0.0f;
        if constexpr (kMask == Mask::input) d = __builtin_fmaf(to_float(s.x[i]), scale[c], shift[c]) > kRoundsToZero<T> ? d : 0.0f;
        if constexpr (kResidual == Gradient::overwrite) store(s.residual[i], d);
        if constexpr (kResidual == Gradient::accumulate) store(s.residual[i], to_float(s.residual[i]) + d);
        total += d;
        times = __builtin_fmaf(d, to_float(s.x[i]) - mean[c], times);
      };
      std::int64_t p = first;
      for (; p + 4 <= last; p += 4) {
        const std::int64_t row = p * s.channels;
#pragma omp simd
        for (std::int64_t c = 0; c < s.channels; ++c) {
          float total = 0.0f, times = 0.0f;
          take(row + c, c, total, times);
          take(row + c + s.channels, c, total, times);
          take(row + c + 2 * s.channels, c, total, times);
          take(row + c + 3 * s.channels, c, total, times);
          sum[c] += total;
          product[c] += times;
        }
      }
      for (; p < last; ++p) {
#pragma omp simd
        for (std::int64_t c = 0; c < s.channels; ++c) take(p * s.channels + c, c, sum[c], product[c]);
      }
#pragma omp simd
      for (std::int64_t c = 0; c < s.channels; ++c) {
        s.all_sum[c] += static_cast<double>(sum[c]);
        s.all_product[c] += static_cast<double>(product[c]);
      }
    }
  });
}

template <class T, Mask kMask>
void sums(const Sums<T>& s, Gradient residual) {
  switch (residual) {
    case Gradient::none:
      return sums<T, kMask, Gradient::none>(s);
    case Gradient::overwrite:
      return sums<T, kMask, Gradient::overwrite>(s);
    case Gradient::accumulate:
      return sums<T, kMask, Gradient::accumulate>(s);
  }
}

/// `residual_write`: the place of the residual's gradient among the writes.
template <class T>
void sums(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call, std::size_t residual_write, Mask mask, const float* mean, double* all) {
  Sums<T> s{};
  s.x = static_cast<const T*>(call.reads[0]);
  s.dy = static_cast<const T*>(call.reads[1]);
  s.y = mask == Mask::output ? static_cast<const T*>(call.reads.back()) : nullptr;
  s.mean = mean;
  if (mask == Mask::input) s.scale = mean + spec.stride(), s.shift = s.scale + spec.stride();
  s.sum = reinterpret_cast<float*>(call.workspace);
  s.product = s.sum + spec.stride();
  s.all_sum = all;
  s.all_product = all + spec.channels;
  s.positions = call.rows * spec.positions;
  s.channels = spec.channels;
  s.block = spec.block();
  Gradient residual = Gradient::none;
  if (spec.add) {
    residual = gradient_of(op.writes.at(residual_write).mode);
    s.residual = static_cast<T*>(call.writes[residual_write]);
  }
  if (mask == Mask::none) return sums<T, Mask::none>(s, residual);
  mask == Mask::output ? sums<T, Mask::output>(s, residual) : sums<T, Mask::input>(s, residual);
}

void any_sums(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call, std::size_t residual_write, Mask mask, const float* mean,
              double* all) {
  spec.bf16 ? sums<BFloat16>(spec, op, call, residual_write, mask, mean, all) : sums<float>(spec, op, call, residual_write, mask, mean, all);
}

void run_backward_sums(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  const Moments moments(call.reads[2], spec.channels);
  double* const all = static_cast<double*>(call.writes[0]);
  float* const weight_gradient = static_cast<float*>(call.writes[1]);
  float* const bias_gradient = static_cast<float*>(call.writes[2]);
  float* const mean = reinterpret_cast<float*>(call.workspace) + 2 * spec.stride();
  const std::int64_t channels = spec.channels;
  for (std::int64_t c = 0; c < channels; ++c) mean[c] = static_cast<float>(moments.mean[c]);
  const Mask mask = mask_of(spec, false);
  if (mask == Mask::input)
    scale_and_shift(moments, spec.epsilon, static_cast<const float*>(call.reads[3]), static_cast<const float*>(call.reads[4]), channels,
                    mean + spec.stride(), mean + 2 * spec.stride());
  any_sums(spec, op, call, 3, mask, mean, all);
  const double share = moments.count > 0 ? 1.0 / moments.count : 0.0, epsilon = spec.epsilon;
  dispatch([=]() LOCKSTEP_INLINE {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const double rounding = static_cast<double>(mean[c]) - moments.mean[c];
      all[channels + c] = (all[channels + c] + rounding * all[c]) / __builtin_sqrt(moments.m2[c] * share + epsilon);
    }
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    if (weight_gradient) weight_gradient[c] = static_cast<float>(all[channels + c]);
    if (bias_gradient) bias_gradient[c] = static_cast<float>(all[c]);
  }
}

void run_frozen_sums(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  const float* mean = static_cast<const float*>(call.reads[2]);
  const float* variance = static_cast<const float*>(call.reads[3]);
  float* const weight_gradient = static_cast<float*>(call.writes[0]);
  float* const bias_gradient = static_cast<float*>(call.writes[1]);
  double* const all = reinterpret_cast<double*>(reinterpret_cast<float*>(call.workspace) + 2 * spec.stride());
  any_sums(spec, op, call, 2, mask_of(spec, true), mean, all);
  for (std::int64_t c = 0; c < spec.channels; ++c) {
    if (weight_gradient)
      weight_gradient[c] = static_cast<float>(all[spec.channels + c] / std::sqrt(static_cast<double>(variance[c]) + spec.epsilon));
    if (bias_gradient) bias_gradient[c] = static_cast<float>(all[c]);
  }
}

/// dx = x * slope + (dy * scale + shift), dy masked by relu. Frozen: dx = dy * scale.
template <class T>
struct Backward {
  const T *x, *dy, *y;
  T* dx;
  const float *scale, *slope, *shift;
  const float *forward_scale, *forward_shift;  ///< for Mask::input
  std::int64_t positions, channels;
};

template <class T, Mask kMask, bool kAccumulate, bool kFrozen>
void backward(Backward<T> b) {
  dispatch([=]() LOCKSTEP_INLINE {
    const float* const scale = b.scale;
    const float* const slope = b.slope;
    const float* const shift = b.shift;
    const float* const forward_scale = b.forward_scale;
    const float* const forward_shift = b.forward_shift;
    for (std::int64_t p = 0; p < b.positions; ++p) {
      const T* const x = kFrozen ? b.dy : b.x + p * b.channels;
      const T* const dy = b.dy + p * b.channels;
      const T* const y = kMask == Mask::output ? b.y + p * b.channels : dy;
      T* const dx = b.dx + p * b.channels;
#pragma omp simd
      for (std::int64_t c = 0; c < b.channels; ++c) {
        float d = to_float(dy[c]);
        if constexpr (kMask == Mask::output) d = to_float(y[c]) > 0.0f ? d : 0.0f;
        if constexpr (kMask == Mask::input) d = __builtin_fmaf(to_float(x[c]), forward_scale[c], forward_shift[c]) > kRoundsToZero<T> ? d : 0.0f;
        float value = d * scale[c];
        if constexpr (!kFrozen) value = __builtin_fmaf(to_float(x[c]), slope[c], __builtin_fmaf(d, scale[c], shift[c]));
        if constexpr (kAccumulate) value += to_float(dx[c]);
        store(dx[c], value);
      }
    }
  });
}

template <class T, bool kFrozen>
void backward(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  const Mask mask = mask_of(spec, kFrozen);
  Backward<T> b{};
  b.x = static_cast<const T*>(call.reads[0]);
  b.dy = static_cast<const T*>(call.reads[1]);
  b.y = mask == Mask::output ? static_cast<const T*>(call.reads.back()) : nullptr;
  b.dx = static_cast<T*>(call.writes[0]);
  b.scale = reinterpret_cast<const float*>(call.workspace);
  b.slope = b.scale + spec.stride();
  b.shift = b.slope + spec.stride();
  b.forward_scale = b.shift + spec.stride();
  b.forward_shift = b.forward_scale + spec.stride();
  b.positions = call.rows * spec.positions;
  b.channels = spec.channels;
  const bool accumulate = op.writes.at(0).mode == WriteMode::accumulate;
  const auto by_mask = [&]<Mask kMask>() { accumulate ? backward<T, kMask, true, kFrozen>(b) : backward<T, kMask, false, kFrozen>(b); };
  if (mask == Mask::none) return by_mask.template operator()<Mask::none>();
  if (mask == Mask::output) return by_mask.template operator()<Mask::output>();
  if constexpr (!kFrozen) by_mask.template operator()<Mask::input>();
}

/// dx = a * (dy - mean(dy) - xhat * mean(dy * xhat)) with a = weight / sigma, xhat = (x - mean) / sigma.
void run_backward(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  const float* weight = static_cast<const float*>(call.reads[2]);
  const Moments moments(call.reads[3], spec.channels);
  const double* totals = static_cast<const double*>(call.reads[4]);
  float* const scale = reinterpret_cast<float*>(call.workspace);
  float* const slope = scale + spec.stride();
  float* const shift = slope + spec.stride();
  const double share = 1.0 / moments.count, epsilon = spec.epsilon;
  const std::int64_t channels = spec.channels;
  dispatch([=]() LOCKSTEP_INLINE {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const double inverse = 1.0 / __builtin_sqrt(moments.m2[c] * share + epsilon);
      const double a = static_cast<double>(weight[c]) * inverse;
      const double tilt = -a * inverse * (totals[channels + c] * share);
      scale[c] = static_cast<float>(a);
      slope[c] = static_cast<float>(tilt);
      shift[c] = static_cast<float>(-a * (totals[c] * share) - tilt * moments.mean[c]);
    }
  });
  if (mask_of(spec, false) == Mask::input)
    scale_and_shift(moments, epsilon, weight, static_cast<const float*>(call.reads[5]), channels, shift + spec.stride(), shift + 2 * spec.stride());
  spec.bf16 ? backward<BFloat16, false>(spec, op, call) : backward<float, false>(spec, op, call);
}

void run_frozen_backward(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  const float* weight = static_cast<const float*>(call.reads[2]);
  const float* variance = static_cast<const float*>(call.reads[3]);
  float* const scale = reinterpret_cast<float*>(call.workspace);
  for (std::int64_t c = 0; c < spec.channels; ++c)
    scale[c] = static_cast<float>(static_cast<double>(weight[c]) / std::sqrt(static_cast<double>(variance[c]) + spec.epsilon));
  spec.bf16 ? backward<BFloat16, true>(spec, op, call) : backward<float, true>(spec, op, call);
}

const RegisterKernel registered_sums("batch_norm.backward_sums", batch_norm_kernel(run_backward_sums, 5));
const RegisterKernel registered_frozen_sums("batch_norm.frozen_sums", batch_norm_kernel(run_frozen_sums, 6));
const RegisterKernel registered_backward("batch_norm.backward", batch_norm_kernel(run_backward, 5));
const RegisterKernel registered_frozen_backward("batch_norm.frozen_backward", batch_norm_kernel(run_frozen_backward, 3));

}  // namespace
}  // namespace lockstep::cpu
