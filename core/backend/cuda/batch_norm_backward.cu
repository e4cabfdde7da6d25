// Bytes an element that must move, T being 4 or 2 bytes: the sums read x, dy and, with relu and a residual, y, and write the residual's
// gradient where it is wanted (reading it too to accumulate): 2 to 5 T. backward reads the same three and writes dx: 3 to 5 T;
// frozen_backward does not read x, but y with any relu: 2 to 4 T. Two 16-byte loads a stream are under way in each thread.
#include "core/backend/cuda/batch_norm.h"

#include <cmath>

namespace lockstep::cuda {
namespace {

/// Whether a gradient is wanted, and how it is written.
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

constexpr int kRows = 2;  ///< positions whose loads are under way together

struct SumParts {
  LaneCut cut;
  std::int64_t positions, chunk;
  unsigned channels, strips, chunks;
  float* parts;  ///< [lane][chunk][sum, product][channel]
};

/// What dy * (x - mean) needs and what its sum is scaled by; statistics of the batch, or the moving averages where moments is null.
struct Center {
  const double* moments;  ///< [count, mean[c], m2[c]]
  const float *mean, *variance;
  double epsilon;

  __device__ float near(unsigned c) const { return moments ? static_cast<float>(moments[1 + c]) : mean[c]; }
  /// What rounding has added to the mean.
  __device__ double rounding(unsigned c) const { return moments ? static_cast<double>(near(c)) - moments[1 + c] : 0.0; }
  __device__ double deviation(unsigned c, unsigned channels) const {
    if (!moments) return std::sqrt(static_cast<double>(variance[c]) + epsilon);
    const double share = moments[0] > 0 ? 1.0 / moments[0] : 0.0;
    return std::sqrt(moments[1 + channels + c] * share + epsilon);
  }
};

/// The forward pass of training, y = x * scale + shift, for Mask::input.
struct Forward {
  const float *weight, *bias;

  __device__ void of(const Center& center, unsigned c, unsigned channels, float& scale, float& shift) const {
    const double variance = center.moments[1 + channels + c] * (1.0 / center.moments[0]);
    scale_and_shift(weight[c], bias[c], center.moments[1 + c], variance, center.epsilon, scale, shift);
  }
};

template <class T>
struct Gradients {
  const T *x, *dy, *y;
  T* residual;  ///< gradient of the residual: the masked dy
};

/// Sums of dy and of dy * (x - mean) of a chunk in f32, dy masked by relu.
template <class T, int W, Mask kMask, Gradient kResidual>
__global__ void __launch_bounds__(kNormThreads, 3) sum_parts(SumParts s, Gradients<T> g, Center center, Forward forward) {
  __shared__ LineSums<W> sums, products;
  __shared__ float means[kNormVectors * W], scales[kNormVectors * W], shifts[kNormVectors * W];
  const BlockPlace<W> at(blockIdx.x, s.strips, s.channels);
  const unsigned lane = blockIdx.y;
  const std::int64_t first = at.chunk * s.chunk, left = s.cut.count(lane) * s.positions - first;
  if (left <= 0) return;
  const unsigned thread = threadIdx.y * kNormVectors + threadIdx.x;
  if (const unsigned c = at.first_channel + thread; thread < kNormVectors * W && c < s.channels) {
    means[thread] = center.near(c);
    if constexpr (kMask == Mask::input) forward.of(center, c, s.channels, scales[thread], shifts[thread]);
  }
  __syncthreads();
  const int mine = at.mine(left < s.chunk ? left : s.chunk);
  std::int64_t offset = (s.cut.first(lane) * s.positions + first + threadIdx.y) * s.channels + at.channel;
  const std::int64_t step = static_cast<std::int64_t>(kNormLines) * s.channels;
  float mean[W], sum[W] = {}, product[W] = {}, scale[W], shift[W];
#pragma unroll
  for (int i = 0; i < W; ++i) {
    mean[i] = at.active ? means[threadIdx.x * W + i] : 0.0f;
    if constexpr (kMask == Mask::input) scale[i] = scales[threadIdx.x * W + i], shift[i] = shifts[threadIdx.x * W + i];
  }
  for (int j = 0; j < mine; j += kRows, offset += kRows * step) {
    ChannelPack<T, W> x[kRows], dy[kRows], y[kRows], residual[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (j + r >= mine) continue;
      x[r].load(g.x + offset + r * step);
      dy[r].load(g.dy + offset + r * step);
      if constexpr (kMask == Mask::output) y[r].load(g.y + offset + r * step);
      if constexpr (kResidual == Gradient::accumulate) residual[r].load(g.residual + offset + r * step);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (j + r >= mine) continue;
      float value[W], d[W], out[W];
      x[r].widen_to(value);
      dy[r].widen_to(d);
      if constexpr (kMask == Mask::output) {
        y[r].widen_to(out);
#pragma unroll
        for (int i = 0; i < W; ++i) d[i] = out[i] > 0.0f ? d[i] : 0.0f;
      }
      if constexpr (kMask == Mask::input) {
#pragma unroll
        for (int i = 0; i < W; ++i) d[i] = __builtin_fmaf(value[i], scale[i], shift[i]) > kRoundsToZero<T> ? d[i] : 0.0f;
      }
#pragma unroll
      for (int i = 0; i < W; ++i) {
        sum[i] += d[i];
        product[i] = __builtin_fmaf(d[i], value[i] - mean[i], product[i]);
      }
      if constexpr (kResidual == Gradient::accumulate) {
        residual[r].widen_to(out);
#pragma unroll
        for (int i = 0; i < W; ++i) d[i] = out[i] + d[i];
      }
      if constexpr (kResidual != Gradient::none) ChannelPack<T, W>::store(g.residual + offset + r * step, d);
    }
  }
  sums.put(sum), products.put(product);
  __syncthreads();

  const FoldPlace<W> fold;
  if (!fold.folds) return;
  float total = 0.0f, times = 0.0f;
  for (unsigned line = fold.quarter; line < kNormLines; line += 4)
    total += sums.line[line][fold.slot], times += products.line[line][fold.slot];
  total = fold.total(total), times = fold.total(times);
  const unsigned channel = at.first_channel + fold.channel;
  if (fold.quarter != 0 || channel >= s.channels) return;
  float* const part = s.parts + (static_cast<std::int64_t>(lane) * s.chunks + at.chunk) * 2 * s.channels;
  part[channel] = total;
  part[s.channels + channel] = times;
}

/// Adds a lane's chunks in f64 and scales; writes what is wanted of the statistic [sum of dy, sum of dy * xhat] and of the
/// parameters' gradients.
__global__ void __launch_bounds__(kNormThreads)
    join_sums(SumParts s, Center center, LaneResult<double> statistic, LaneResult<float> weight, LaneResult<float> bias) {
  __shared__ double sums[kNormLines][kNormVectors], products[kNormLines][kNormVectors];
  const unsigned lane = blockIdx.y, channel = blockIdx.x * kNormVectors + threadIdx.x;
  const std::int64_t total = s.cut.count(lane) * s.positions, chunks = (total + s.chunk - 1) / s.chunk;
  const float* const parts = s.parts + static_cast<std::int64_t>(lane) * s.chunks * 2 * s.channels + channel;
  const bool active = channel < s.channels;
  double sum = 0.0, product = 0.0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.y; active && i < chunks; i += kNormLines) {
    sum += static_cast<double>(parts[i * 2 * s.channels]);
    product += static_cast<double>(parts[(i * 2 + 1) * s.channels]);
  }
  sum = sum_lines(sums, sum);
  product = sum_lines(products, product);
  if (!active || threadIdx.y != 0) return;
  product = total > 0 ? (product + center.rounding(channel) * sum) / center.deviation(channel, s.channels) : 0.0;
  if (double* const to = statistic.of(lane)) to[channel] = sum, to[s.channels + channel] = product;
  if (float* const to = weight.of(lane)) to[channel] = static_cast<float>(product);
  if (float* const to = bias.of(lane)) to[channel] = static_cast<float>(sum);
}

template <class T, int W, Mask kMask>
auto choose_sums(Gradient residual) {
  if (residual == Gradient::accumulate) return sum_parts<T, W, kMask, Gradient::accumulate>;
  return residual == Gradient::overwrite ? sum_parts<T, W, kMask, Gradient::overwrite> : sum_parts<T, W, kMask, Gradient::none>;
}

/// A residual's gradient is asked for with a residual alone, and then the output masks.
template <class T, int W>
auto choose_sums(Mask mask, Gradient residual) {
  if (mask == Mask::input) return sum_parts<T, W, Mask::input, Gradient::none>;
  return mask == Mask::output ? choose_sums<T, W, Mask::output>(residual) : choose_sums<T, W, Mask::none>(residual);
}

/// `residual_write`: the place of the residual's gradient among the writes; those of the parameters are the two before it.
void any_sums(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call, std::size_t residual_write, const Center& center,
              const Forward& forward, const LaneResult<double>& statistic) {
  const Mask mask = mask_of(spec, center.moments == nullptr);
  const LaneCut cut(call);
  const std::int64_t chunk = chunk_positions(spec.positions), chunks = (cut.most() * spec.positions + chunk - 1) / chunk;
  SumParts s{cut,
             spec.positions,
             chunk,
             static_cast<unsigned>(spec.channels),
             0,
             static_cast<unsigned>(chunks),
             reinterpret_cast<float*>(call.workspace)};
  const Gradient residual = spec.add ? gradient_of(op.writes.at(residual_write).mode) : Gradient::none;
  with_element_type(op, spec.dtype, [&](auto type) {
    using T = decltype(type);
    const Gradients<T> g{static_cast<const T*>(call.reads[0]), static_cast<const T*>(call.reads[1]),
                         mask == Mask::output ? static_cast<const T*>(call.reads.back()) : nullptr,
                         residual != Gradient::none ? static_cast<T*>(call.writes[residual_write]) : nullptr};
    with_channel_width<T>(spec.channels, {g.x, g.dy, g.y, g.residual}, [&](auto width) {
      constexpr int kWidth = width.value;
      s.strips = channel_strips<kWidth>(spec.channels);
      launch(choose_sums<T, kWidth>(mask, residual), dim3(s.chunks * s.strips, cut.filled()), dim3(kNormVectors, kNormLines), call.stream, s, g,
             center, forward);
    });
  });
  launch(join_sums, dim3(channel_strips<1>(spec.channels), static_cast<unsigned>(cut.lanes)), dim3(kNormVectors, kNormLines), call.stream,
         s, center, statistic, LaneResult<float>(call, residual_write - 2), LaneResult<float>(call, residual_write - 1));
}

void run_backward_sums(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  Forward forward{};
  if (mask_of(spec, false) == Mask::input) forward = {static_cast<const float*>(call.reads[3]), static_cast<const float*>(call.reads[4])};
  any_sums(spec, op, call, 3, {static_cast<const double*>(call.reads[2]), nullptr, nullptr, spec.epsilon}, forward, LaneResult<double>(call, 0));
}

void run_frozen_sums(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  any_sums(spec, op, call, 2, {nullptr, static_cast<const float*>(call.reads[2]), static_cast<const float*>(call.reads[3]), spec.epsilon},
           {}, {});
}

template <class T>
struct Backward {
  const T *x, *dy, *y;
  T* dx;
  std::int64_t count;  ///< positions
  unsigned channels, strips;
  const float* weight;
  const double* totals;  ///< [sum of dy, sum of dy * xhat]
  Center center;
  Forward forward;
};

/// dx = a * (dy - mean(dy) - xhat * mean(dy * xhat)) with a = weight / sigma, xhat = (x - mean) / sigma, dy masked by relu; that is
/// x * slope + (dy * scale + shift). Frozen: dy * scale. Each block works these out for its channels while its first values
/// are on their way.
template <class T, int W, Mask kMask, bool kAccumulate, bool kFrozen>
__global__ void __launch_bounds__(kNormThreads, 3) backward(Backward<T> b) {
  __shared__ float scales[kNormVectors * W], slopes[kNormVectors * W], shifts[kNormVectors * W];
  __shared__ float forward_scales[kNormVectors * W], forward_shifts[kNormVectors * W];
  const BlockPlace<W> at(blockIdx.x, b.strips, b.channels);
  const std::int64_t first = at.chunk * kNormPositions, left = b.count - first;
  const int mine = at.mine(left < kNormPositions ? left : kNormPositions);
  std::int64_t offset = (first + threadIdx.y) * b.channels + at.channel;
  const std::int64_t step = static_cast<std::int64_t>(kNormLines) * b.channels;
  ChannelPack<T, W> x[kRows], dy[kRows], y[kRows], before[kRows];
  const auto fetch = [&](int j) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (j + r >= mine) continue;
      dy[r].load(b.dy + offset + r * step);
      if constexpr (!kFrozen) x[r].load(b.x + offset + r * step);
      if constexpr (kMask == Mask::output) y[r].load(b.y + offset + r * step);
      if constexpr (kAccumulate) before[r].load(b.dx + offset + r * step);
    }
  };
  fetch(0);
  const unsigned thread = threadIdx.y * kNormVectors + threadIdx.x, c = at.first_channel + thread;
  if (thread < kNormVectors * W && c < b.channels) {
    if constexpr (kFrozen) {
      scales[thread] = static_cast<float>(static_cast<double>(b.weight[c]) / b.center.deviation(c, b.channels));
    } else {
      const double share = 1.0 / b.center.moments[0], inverse = 1.0 / b.center.deviation(c, b.channels);
      const double a = static_cast<double>(b.weight[c]) * inverse, tilt = -a * inverse * (b.totals[b.channels + c] * share);
      scales[thread] = static_cast<float>(a);
      slopes[thread] = static_cast<float>(tilt);
      shifts[thread] = static_cast<float>(-a * (b.totals[c] * share) - tilt * b.center.moments[1 + c]);
      if constexpr (kMask == Mask::input) b.forward.of(b.center, c, b.channels, forward_scales[thread], forward_shifts[thread]);
    }
  }
  __syncthreads();
  if (mine == 0) return;
  float scale[W], slope[W], shift[W], forward_scale[W], forward_shift[W];
#pragma unroll
  for (int i = 0; i < W; ++i) {
    scale[i] = scales[threadIdx.x * W + i];
    if constexpr (kMask == Mask::input) forward_scale[i] = forward_scales[threadIdx.x * W + i], forward_shift[i] = forward_shifts[threadIdx.x * W + i];
    if constexpr (!kFrozen) slope[i] = slopes[threadIdx.x * W + i], shift[i] = shifts[threadIdx.x * W + i];
  }
  for (int j = 0;;) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (j + r >= mine) continue;
      float d[W], other[W];
      dy[r].widen_to(d);
      if constexpr (kMask == Mask::output) {
        y[r].widen_to(other);
#pragma unroll
        for (int i = 0; i < W; ++i) d[i] = other[i] > 0.0f ? d[i] : 0.0f;
      }
      if constexpr (kFrozen) {
#pragma unroll
        for (int i = 0; i < W; ++i) d[i] = d[i] * scale[i];
      } else {
        x[r].widen_to(other);
        if constexpr (kMask == Mask::input) {
#pragma unroll
          for (int i = 0; i < W; ++i) d[i] = __builtin_fmaf(other[i], forward_scale[i], forward_shift[i]) > kRoundsToZero<T> ? d[i] : 0.0f;
        }
#pragma unroll
        for (int i = 0; i < W; ++i) d[i] = __builtin_fmaf(other[i], slope[i], __builtin_fmaf(d[i], scale[i], shift[i]));
      }
      if constexpr (kAccumulate) {
        before[r].widen_to(other);
#pragma unroll
        for (int i = 0; i < W; ++i) d[i] += other[i];
      }
      ChannelPack<T, W>::store(b.dx + offset + r * step, d);
    }
    j += kRows;
    if (j >= mine) return;
    offset += kRows * step;
    fetch(j);
  }
}

template <class T, int W, bool kAccumulate, bool kFrozen>
auto choose_backward(Mask mask) {
  if constexpr (!kFrozen)
    if (mask == Mask::input) return backward<T, W, Mask::input, kAccumulate, false>;
  return mask == Mask::output ? backward<T, W, Mask::output, kAccumulate, kFrozen> : backward<T, W, Mask::none, kAccumulate, kFrozen>;
}

template <bool kFrozen>
void any_backward(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call, const double* totals, const Center& center,
                  const Forward& forward) {
  const Mask mask = mask_of(spec, kFrozen);
  const bool accumulate = op.writes.at(0).mode == WriteMode::accumulate;
  with_element_type(op, spec.dtype, [&](auto type) {
    using T = decltype(type);
    Backward<T> b{static_cast<const T*>(call.reads[0]),
                  static_cast<const T*>(call.reads[1]),
                  mask == Mask::output ? static_cast<const T*>(call.reads.back()) : nullptr,
                  static_cast<T*>(call.writes[0]),
                  call.rows * spec.positions,
                  static_cast<unsigned>(spec.channels),
                  0,
                  static_cast<const float*>(call.reads[2]),
                  totals,
                  center,
                  forward};
    with_channel_width<T>(spec.channels, {b.x, b.dy, b.y, b.dx}, [&](auto width) {
      constexpr int kWidth = width.value;
      b.strips = channel_strips<kWidth>(spec.channels);
      const auto kernel = accumulate ? choose_backward<T, kWidth, true, kFrozen>(mask) : choose_backward<T, kWidth, false, kFrozen>(mask);
      const std::int64_t chunks = (b.count + kNormPositions - 1) / kNormPositions;
      launch(kernel, dim3(static_cast<unsigned>(chunks) * b.strips), dim3(kNormVectors, kNormLines), call.stream, b);
    });
  });
}

void run_backward(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  any_backward<false>(spec, op, call, static_cast<const double*>(call.reads[4]),
                      {static_cast<const double*>(call.reads[3]), nullptr, nullptr, spec.epsilon},
                      {static_cast<const float*>(call.reads[2]), mask_of(spec, false) == Mask::input ? static_cast<const float*>(call.reads[5]) : nullptr});
}

void run_frozen_backward(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  any_backward<true>(spec, op, call, nullptr, {nullptr, nullptr, static_cast<const float*>(call.reads[3]), spec.epsilon}, {});
}

const RegisterKernel registered[] = {{"batch_norm.backward_sums", batch_norm_sums(run_backward_sums, sizeof(float))},
                                     {"batch_norm.frozen_sums", batch_norm_sums(run_frozen_sums, sizeof(float))},
                                     {"batch_norm.backward", batch_norm_rows(run_backward)},
                                     {"batch_norm.frozen_backward", batch_norm_rows(run_frozen_backward)}};

}  // namespace
}  // namespace lockstep::cuda
