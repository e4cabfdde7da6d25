// Bytes an element that must move, T being 4 or 2 bytes: moments read T; normalize and inference read T (2 T with an addition)
// and write T. Four 16-byte loads a stream are under way in each thread.
#include "core/backend/cuda/batch_norm.h"

#include <algorithm>
#include <cmath>

namespace lockstep::cuda {

BatchNormSpec::BatchNormSpec(const OpSpec& spec) {
  const TensorSpec* x = nullptr;
  for (const auto* operands : {&spec.reads, &spec.writes})
    for (const OperandSpec& operand : *operands)
      if (operand.role == Role::input && !x) x = &operand.spec;
  if (x) {
    channels = x->shape[x->shape.rank() - 1];
    positions = x->elements() / channels;
    dtype = x->dtype;
  } else {
    channels = spec.reads.at(1).spec.elements();
  }
  const Attributes& a = spec.attributes;
  if (a.has("epsilon")) epsilon = a.real("epsilon");
  if (a.has("momentum")) momentum = a.real("momentum");
  if (a.has("relu")) relu = a.integer("relu") != 0;
  if (a.has("add")) add = a.integer("add") != 0;
  if (a.has("groups")) groups = a.integer("groups");
}

BatchNormKernel::BatchNormKernel(const OpSpec& op, Run body, bool takes_lanes, std::size_t part_bytes)
    : spec_(op), op_(op), run_(body), takes_lanes_(takes_lanes), workspace_(0) {
  if (part_bytes == 0) return;
  workspace_ =
      static_cast<std::size_t>(most_chunks(op, spec_.positions, chunk_positions(spec_.positions)) * 2 * spec_.channels) * part_bytes;
}

namespace {

constexpr int kMomentRows = 4;  ///< loads of a thread that are under way together

struct MomentParts {
  LaneCut cut;
  std::int64_t positions, chunk;
  unsigned channels, strips, chunks;
  double* parts;  ///< [lane][chunk][mean, m2][channel]
};

/// Mean and sum of squared deviations of a chunk. A thread measures from the mean of its first values, so its sum of squares,
/// of which the square of its sum is taken, is at most `loads` times what is left: no digits are lost, however large the mean is.
/// Threads are joined by their means' distances from one of them, which are as small.
template <class T, int W>
__global__ void __launch_bounds__(kNormThreads, 4) moment_parts(MomentParts m, const T* x) {
  __shared__ LineSums<W> references, offsets, squares;
  const BlockPlace<W> at(blockIdx.x, m.strips, m.channels);
  const unsigned lane = blockIdx.y;
  const std::int64_t first = at.chunk * m.chunk, left = m.cut.count(lane) * m.positions - first;
  if (left <= 0) return;
  const int count = static_cast<int>(left < m.chunk ? left : m.chunk), mine = at.mine(count);
  const T* from = x + (m.cut.first(lane) * m.positions + first + threadIdx.y) * m.channels + at.channel;
  const std::int64_t step = static_cast<std::int64_t>(kNormLines) * m.channels;

  float reference[W] = {}, sum[W] = {}, square[W] = {};
  for (int j = 0; j < mine; j += kMomentRows, from += kMomentRows * step) {
    ChannelPack<T, W> packs[kMomentRows];
#pragma unroll
    for (int r = 0; r < kMomentRows; ++r)
      if (j + r < mine) packs[r].load(from + r * step);
    float value[W];
    if (j == 0) {
#pragma unroll
      for (int r = 0; r < kMomentRows; ++r) {
        if (r >= mine) continue;
        packs[r].widen_to(value);
#pragma unroll
        for (int i = 0; i < W; ++i) reference[i] += value[i];
      }
      const float share = 1.0f / static_cast<float>(mine < kMomentRows ? mine : kMomentRows);
#pragma unroll
      for (int i = 0; i < W; ++i) reference[i] *= share;
    }
#pragma unroll
    for (int r = 0; r < kMomentRows; ++r) {
      if (j + r >= mine) continue;
      packs[r].widen_to(value);
#pragma unroll
      for (int i = 0; i < W; ++i) {
        const float d = value[i] - reference[i];
        sum[i] += d;
        square[i] = __builtin_fmaf(d, d, square[i]);
      }
    }
  }
  const float share = mine > 0 ? 1.0f / static_cast<float>(mine) : 0.0f;
#pragma unroll
  for (int i = 0; i < W; ++i) {
    const float offset = sum[i] * share, inside = square[i] - sum[i] * offset;
    sum[i] = offset;
    square[i] = inside < 0.0f ? 0.0f : inside;
  }
  references.put(reference), offsets.put(sum), squares.put(square);
  __syncthreads();

  const FoldPlace<W> fold;
  if (!fold.folds) return;
  const float origin = references.line[0][fold.slot];
  // The first lines have one position more than the others.
  const unsigned longer = static_cast<unsigned>(count) % kNormLines;
  const float fewer = static_cast<float>(count / static_cast<int>(kNormLines)), more = fewer + 1.0f;
  float distance[kNormLines / 4], mean = 0.0f, m2 = 0.0f;
#pragma unroll
  for (unsigned r = 0; r < kNormLines / 4; ++r) {
    const unsigned line = fold.quarter + 4 * r;
    distance[r] = (references.line[line][fold.slot] - origin) + offsets.line[line][fold.slot];
    mean += (line < longer ? more : fewer) * distance[r];
  }
  mean = fold.total(mean) / static_cast<float>(count);
#pragma unroll
  for (unsigned r = 0; r < kNormLines / 4; ++r) {
    const unsigned line = fold.quarter + 4 * r;
    const float d = distance[r] - mean;
    m2 += squares.line[line][fold.slot] + (line < longer ? more : fewer) * d * d;
  }
  m2 = fold.total(m2);
  const unsigned channel = at.first_channel + fold.channel;
  if (fold.quarter != 0 || channel >= m.channels) return;
  double* const part = m.parts + (static_cast<std::int64_t>(lane) * m.chunks + at.chunk) * 2 * m.channels;
  part[channel] = static_cast<double>(origin) + static_cast<double>(mean);
  part[m.channels + channel] = static_cast<double>(m2);
}

/// Joins a lane's chunks by Chan et al. 1983, all at once: the mean first, then what lies inside the chunks and between them.
__global__ void __launch_bounds__(kNormThreads) join_moments(MomentParts m, LaneResult<double> result) {
  __shared__ double means[kNormLines][kNormVectors], insides[kNormLines][kNormVectors];
  const unsigned lane = blockIdx.y, channel = blockIdx.x * kNormVectors + threadIdx.x;
  const std::int64_t total = m.cut.count(lane) * m.positions, chunks = (total + m.chunk - 1) / m.chunk;
  const double* const parts = m.parts + static_cast<std::int64_t>(lane) * m.chunks * 2 * m.channels + channel;
  const auto weight = [&](std::int64_t chunk) {
    const std::int64_t left = total - chunk * m.chunk;
    return static_cast<double>(left < m.chunk ? left : m.chunk);
  };
  const bool active = channel < m.channels;
  double sum = 0.0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.y; active && i < chunks; i += kNormLines) sum += weight(i) * parts[i * 2 * m.channels];
  const double mean = total > 0 ? sum_lines(means, sum) / static_cast<double>(total) : 0.0;
  double inside = 0.0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.y; active && i < chunks; i += kNormLines) {
    const double d = parts[i * 2 * m.channels] - mean;
    inside += parts[(i * 2 + 1) * m.channels] + weight(i) * d * d;
  }
  const double m2 = sum_lines(insides, inside);
  if (!active || threadIdx.y != 0) return;
  double* const to = result.of(lane);
  if (channel == 0) to[0] = static_cast<double>(total);
  to[1 + channel] = mean;
  to[1 + m.channels + channel] = m2;
}

void run_moments(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  const LaneCut cut(call);
  const std::int64_t chunk = chunk_positions(spec.positions), chunks = (cut.most() * spec.positions + chunk - 1) / chunk;
  MomentParts m{cut,
                spec.positions,
                chunk,
                static_cast<unsigned>(spec.channels),
                0,
                static_cast<unsigned>(chunks),
                reinterpret_cast<double*>(call.workspace)};
  with_element_type(op, spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const x = static_cast<const T*>(call.reads[0]);
    with_channel_width<T>(spec.channels, {x}, [&](auto width) {
      m.strips = channel_strips<width.value>(spec.channels);
      launch(moment_parts<T, width.value>, dim3(m.chunks * m.strips, cut.filled()), dim3(kNormVectors, kNormLines), call.stream, m, x);
    });
  });
  launch(join_moments, dim3(channel_strips<1>(spec.channels), static_cast<unsigned>(cut.lanes)), dim3(kNormVectors, kNormLines),
         call.stream, m, LaneResult<double>(call, 0));
}

/// Where scale and shift come from: moments [count, mean, m2], or the moving averages where they are null.
struct Normalization {
  const float *weight, *bias;
  const double* moments;
  const float *mean, *variance;
  double epsilon;
};

constexpr int kApplyRows = 4;

template <class T>
struct Apply {
  const T *x, *residual;
  T* y;
  std::int64_t count;  ///< positions
  unsigned channels, strips;
};

/// y = x * scale + shift [+ residual] [, relu]; a NaN stays one. Each block works scale and shift out for its channels while
/// its first values are on their way: that is hidden, and a kernel of its own would cost a launch in each layer.
template <class T, int W, bool kAdd, bool kRelu>
__global__ void __launch_bounds__(kNormThreads, 4) apply(Apply<T> a, Normalization n) {
  __shared__ float scales[kNormVectors * W], shifts[kNormVectors * W];
  const BlockPlace<W> at(blockIdx.x, a.strips, a.channels);
  const std::int64_t first = at.chunk * kNormPositions, left = a.count - first;
  const int mine = at.mine(left < kNormPositions ? left : kNormPositions);
  std::int64_t offset = (first + threadIdx.y) * a.channels + at.channel;
  const std::int64_t step = static_cast<std::int64_t>(kNormLines) * a.channels;
  ChannelPack<T, W> x[kApplyRows], residual[kApplyRows];
  const auto fetch = [&](int j) {
#pragma unroll
    for (int r = 0; r < kApplyRows; ++r) {
      if (j + r >= mine) continue;
      x[r].load(a.x + offset + r * step);
      if constexpr (kAdd) residual[r].load(a.residual + offset + r * step);
    }
  };
  fetch(0);
  const unsigned thread = threadIdx.y * kNormVectors + threadIdx.x, c = at.first_channel + thread;
  if (thread < kNormVectors * W && c < a.channels) {
    const double variance = n.moments ? n.moments[1 + a.channels + c] * (1.0 / n.moments[0]) : static_cast<double>(n.variance[c]);
    const double mean = n.moments ? n.moments[1 + c] : static_cast<double>(n.mean[c]);
    scale_and_shift(n.weight[c], n.bias[c], mean, variance, n.epsilon, scales[thread], shifts[thread]);
  }
  __syncthreads();
  if (mine == 0) return;
  float scale[W], shift[W];
#pragma unroll
  for (int i = 0; i < W; ++i) scale[i] = scales[threadIdx.x * W + i], shift[i] = shifts[threadIdx.x * W + i];
  for (int j = 0;;) {
#pragma unroll
    for (int r = 0; r < kApplyRows; ++r) {
      if (j + r >= mine) continue;
      float value[W], other[W];
      x[r].widen_to(value);
      if constexpr (kAdd) residual[r].widen_to(other);
#pragma unroll
      for (int i = 0; i < W; ++i) {
        value[i] = __builtin_fmaf(value[i], scale[i], shift[i]);
        if constexpr (kAdd) value[i] += other[i];
        if constexpr (kRelu) value[i] = 0.0f > value[i] ? 0.0f : value[i];
      }
      ChannelPack<T, W>::store(a.y + offset + r * step, value);
    }
    j += kApplyRows;
    if (j >= mine) return;
    offset += kApplyRows * step;
    fetch(j);
  }
}

template <class T, int W>
void apply(const BatchNormSpec& spec, const Apply<T>& a, const Normalization& n, StreamView stream) {
  const auto kernel = spec.add ? (spec.relu ? apply<T, W, true, true> : apply<T, W, true, false>)
                               : (spec.relu ? apply<T, W, false, true> : apply<T, W, false, false>);
  const std::int64_t chunks = (a.count + kNormPositions - 1) / kNormPositions;
  launch(kernel, dim3(static_cast<unsigned>(chunks) * a.strips), dim3(kNormVectors, kNormLines), stream, a, n);
}

void run_apply(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call, const Normalization& n) {
  with_element_type(op, spec.dtype, [&](auto type) {
    using T = decltype(type);
    Apply<T> a{static_cast<const T*>(call.reads[0]), spec.add ? static_cast<const T*>(call.reads.back()) : nullptr,
               static_cast<T*>(call.writes[0]),      call.rows * spec.positions,
               static_cast<unsigned>(spec.channels), 0};
    with_channel_width<T>(spec.channels, {a.x, a.residual, a.y}, [&](auto width) {
      a.strips = channel_strips<width.value>(spec.channels);
      apply<T, width.value>(spec, a, n, call.stream);
    });
  });
}

const float* floats(const void* operand) { return static_cast<const float*>(operand); }

void run_normalize(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  run_apply(spec, op, call,
            {floats(call.reads[1]), floats(call.reads[2]), static_cast<const double*>(call.reads[3]), nullptr, nullptr, spec.epsilon});
}

void run_inference(const BatchNormSpec& spec, const OpSpec& op, const KernelCall& call) {
  run_apply(spec, op, call,
            {floats(call.reads[1]), floats(call.reads[2]), nullptr, floats(call.reads[3]), floats(call.reads[4]), spec.epsilon});
}

/// The moving averages take the mean of the groups' means and unbiased variances; empty groups do not count.
__global__ void __launch_bounds__(kNormThreads)
    update_moving(const double* totals, float* running_mean, float* running_var, unsigned channels, std::int64_t groups, double momentum) {
  const unsigned c = blockIdx.x * kNormThreads + threadIdx.x;
  if (c >= channels) return;
  double filled = 0, mean = 0, variance = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    const double* const moments = totals + g * (1 + 2 * static_cast<std::int64_t>(channels));
    const double count = moments[0], others = count - 1.0;
    filled += count > 0 ? 1 : 0;
    mean += moments[1 + c];
    variance += moments[1 + channels + c] / (others < 1.0 ? 1.0 : others);
  }
  if (filled == 0) return;
  running_mean[c] = static_cast<float>((1.0 - momentum) * static_cast<double>(running_mean[c]) + momentum * mean / filled);
  running_var[c] = static_cast<float>((1.0 - momentum) * static_cast<double>(running_var[c]) + momentum * variance / filled);
}

void run_update_moving(const BatchNormSpec& spec, const OpSpec&, const KernelCall& call) {
  const unsigned channels = static_cast<unsigned>(spec.channels);
  launch(update_moving, dim3((channels + kNormThreads - 1) / kNormThreads), dim3(kNormThreads), call.stream,
         static_cast<const double*>(call.reads[0]), static_cast<float*>(call.writes[0]), static_cast<float*>(call.writes[1]), channels,
         spec.groups, spec.momentum);
}

const RegisterKernel registered[] = {{"batch_norm.moments", batch_norm_sums(run_moments, sizeof(double))},
                                     {"batch_norm.update_moving", batch_norm_rows(run_update_moving)},
                                     {"batch_norm.normalize", batch_norm_rows(run_normalize)},
                                     {"batch_norm.inference", batch_norm_rows(run_inference)}};

}  // namespace
}  // namespace lockstep::cuda
