#include "core/backend/cuda/pooling.h"

namespace lockstep::cuda {
namespace {

/// The first of equal elements is the maximum, and a NaN is one. `place` may be null.
template <class T, int WIDTH>
__global__ void max_pool_forward(PoolingGeometry g, unsigned items, const T* x, T* y, std::uint8_t* place) {
  const unsigned item = item_index(), channels = static_cast<unsigned>(g.channels);
  if (item >= items) return;
  const PoolingPlace at(item, channels / WIDTH, static_cast<unsigned>(g.width.output), static_cast<unsigned>(g.height.output));
  const PoolingRange rows = g.height.taps(at.h), columns = g.width.taps(at.w);
  const unsigned first_line = at.row * static_cast<unsigned>(g.height.input) + static_cast<unsigned>(g.height.start(at.h) + rows.first);
  float best[WIDTH];
  unsigned tap[WIDTH];
  bool first = true;
  for (std::int32_t kh = rows.first; kh < rows.last; ++kh) {
    const unsigned line = first_line + static_cast<unsigned>(kh - rows.first);
    for (std::int32_t kw = columns.first; kw < columns.last; ++kw) {
      const unsigned pixel = line * static_cast<unsigned>(g.width.input) + static_cast<unsigned>(g.width.start(at.w) + kw);
      float value[WIDTH];
      load_elements(x + (pixel * channels + at.group * WIDTH), value);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) {
        const bool better = first || value[i] > best[i] || value[i] != value[i];
        best[i] = better ? value[i] : best[i];
        tap[i] = better ? static_cast<unsigned>(kh * g.width.size + kw) : tap[i];
      }
      first = false;
    }
  }
  store_elements(y + item * WIDTH, best);
  if (place) store_bytes(place + item * WIDTH, tap);
}

void forward(const PoolingGeometry& g, const OpSpec& op, const KernelCall& call) {
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const x = static_cast<const T*>(call.reads[0]);
    T* const y = static_cast<T*>(call.writes[0]);
    std::uint8_t* const place = call.writes.size() > 1 ? static_cast<std::uint8_t*>(call.writes[1]) : nullptr;
    in_pooling_parts(g, call, suits_vectors(g.channels, {x, y}, {place}), [&](auto width, std::int64_t first, std::int64_t rows) {
      const std::int64_t items = rows * g.outputs() / width.value;
      launch(max_pool_forward<T, width.value>, item_blocks(items), dim3(kItemThreads), call.stream, g, static_cast<unsigned>(items),
             x + first * g.inputs(), y + first * g.outputs(), place ? place + first * g.outputs() : nullptr);
    });
  });
}

/// Gathers over the windows of a pixel: each element of dx is summed in f32, in the windows' order, and written once.
template <class T, int WIDTH>
__global__ void max_pool_backward(PoolingGeometry g, unsigned items, const T* dy, const std::uint8_t* place, T* dx, bool accumulate) {
  const unsigned item = item_index(), channels = static_cast<unsigned>(g.channels);
  if (item >= items) return;
  const PoolingPlace at(item, channels / WIDTH, static_cast<unsigned>(g.width.input), static_cast<unsigned>(g.height.input));
  const PoolingRange rows = g.height.outputs(at.h), columns = g.width.outputs(at.w);
  float sum[WIDTH] = {};
  if (accumulate) load_elements(dx + item * WIDTH, sum);
  for (std::int32_t oh = rows.first; oh < rows.last; ++oh) {
    const unsigned line = at.row * static_cast<unsigned>(g.height.output) + static_cast<unsigned>(oh);
    for (std::int32_t ow = columns.first; ow < columns.last; ++ow) {
      const auto tap = static_cast<unsigned>((at.h - g.height.start(oh)) * g.width.size + at.w - g.width.start(ow));
      const unsigned out = (line * static_cast<unsigned>(g.width.output) + static_cast<unsigned>(ow)) * channels + at.group * WIDTH;
      float value[WIDTH];
      unsigned taken[WIDTH];
      load_elements(dy + out, value);
      load_bytes(place + out, taken);
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) sum[i] += taken[i] == tap ? value[i] : 0.0f;
    }
  }
  store_elements(dx + item * WIDTH, sum);
}

void backward(const PoolingGeometry& g, const OpSpec& op, const KernelCall& call) {
  const bool accumulate = op.writes[0].mode == WriteMode::accumulate;
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const dy = static_cast<const T*>(call.reads[0]);
    const auto* const place = static_cast<const std::uint8_t*>(call.reads[1]);
    T* const dx = static_cast<T*>(call.writes[0]);
    in_pooling_parts(g, call, suits_vectors(g.channels, {dy, dx}, {place}), [&](auto width, std::int64_t first, std::int64_t rows) {
      const std::int64_t items = rows * g.inputs() / width.value;
      launch(max_pool_backward<T, width.value>, item_blocks(items), dim3(kItemThreads), call.stream, g, static_cast<unsigned>(items),
             dy + first * g.outputs(), place + first * g.outputs(), dx + first * g.inputs(), accumulate);
    });
  });
}

const RegisterKernel registered[] = {{"max_pool.forward", pooling_forward(forward)},
                                     {"max_pool.evaluate", pooling_forward(forward)},
                                     {"max_pool.backward", pooling_backward(backward)}};

}  // namespace
}  // namespace lockstep::cuda
