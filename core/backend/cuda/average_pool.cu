#include "core/backend/cuda/pooling.h"

namespace lockstep::cuda {
namespace {

template <class T, int WIDTH>
__global__ void average_pool_forward(PoolingGeometry g, unsigned items, const T* x, T* y) {
  const unsigned item = item_index(), channels = static_cast<unsigned>(g.channels);
  if (item >= items) return;
  const PoolingPlace at(item, channels / WIDTH, static_cast<unsigned>(g.width.output), static_cast<unsigned>(g.height.output));
  const PoolingRange rows = g.height.taps(at.h), columns = g.width.taps(at.w);
  float sum[WIDTH] = {};
  for (std::int32_t kh = rows.first; kh < rows.last; ++kh) {
    const unsigned line = at.row * static_cast<unsigned>(g.height.input) + static_cast<unsigned>(g.height.start(at.h) + kh);
    for (std::int32_t kw = columns.first; kw < columns.last; ++kw) {
      const unsigned pixel = line * static_cast<unsigned>(g.width.input) + static_cast<unsigned>(g.width.start(at.w) + kw);
      float value[WIDTH];
      load_elements(x + (pixel * channels + at.group * WIDTH), value);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) sum[i] += value[i];
    }
  }
  const float count = static_cast<float>(rows.count() * columns.count());
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) sum[i] = sum[i] / count;
  store_elements(y + item * WIDTH, sum);
}

void forward(const PoolingGeometry& g, const OpSpec& op, const KernelCall& call) {
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const x = static_cast<const T*>(call.reads[0]);
    T* const y = static_cast<T*>(call.writes[0]);
    in_pooling_parts(g, call, suits_vectors(g.channels, {x, y}), [&](auto width, std::int64_t first, std::int64_t rows) {
      const std::int64_t items = rows * g.outputs() / width.value;
      launch(average_pool_forward<T, width.value>, item_blocks(items), dim3(kItemThreads), call.stream, g, static_cast<unsigned>(items),
             x + first * g.inputs(), y + first * g.outputs());
    });
  });
}

/// Gathers over the windows of a pixel: each element of dx is summed in f32, in the windows' order, and written once.
template <class T, int WIDTH>
__global__ void average_pool_backward(PoolingGeometry g, unsigned items, const T* dy, T* dx, bool accumulate) {
  const unsigned item = item_index(), channels = static_cast<unsigned>(g.channels);
  if (item >= items) return;
  const PoolingPlace at(item, channels / WIDTH, static_cast<unsigned>(g.width.input), static_cast<unsigned>(g.height.input));
  const PoolingRange rows = g.height.outputs(at.h), columns = g.width.outputs(at.w);
  float sum[WIDTH] = {};
  if (accumulate) load_elements(dx + item * WIDTH, sum);
  for (std::int32_t oh = rows.first; oh < rows.last; ++oh) {
    const unsigned line = at.row * static_cast<unsigned>(g.height.output) + static_cast<unsigned>(oh);
    const std::int64_t high = g.height.taps(oh).count();
    for (std::int32_t ow = columns.first; ow < columns.last; ++ow) {
      const float count = static_cast<float>(high * g.width.taps(ow).count());
      float value[WIDTH];
      load_elements(dy + ((line * static_cast<unsigned>(g.width.output) + static_cast<unsigned>(ow)) * channels + at.group * WIDTH), value);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) sum[i] += value[i] / count;
    }
  }
  store_elements(dx + item * WIDTH, sum);
}

void backward(const PoolingGeometry& g, const OpSpec& op, const KernelCall& call) {
  const bool accumulate = op.writes[0].mode == WriteMode::accumulate;
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const dy = static_cast<const T*>(call.reads[0]);
    T* const dx = static_cast<T*>(call.writes[0]);
    in_pooling_parts(g, call, suits_vectors(g.channels, {dy, dx}), [&](auto width, std::int64_t first, std::int64_t rows) {
      const std::int64_t items = rows * g.inputs() / width.value;
      launch(average_pool_backward<T, width.value>, item_blocks(items), dim3(kItemThreads), call.stream, g, static_cast<unsigned>(items),
             dy + first * g.outputs(), dx + first * g.inputs(), accumulate);
    });
  });
}

const RegisterKernel registered[] = {{"average_pool.forward", pooling_forward(forward)},
                                     {"average_pool.backward", pooling_backward(backward)}};

}  // namespace
}  // namespace lockstep::cuda
