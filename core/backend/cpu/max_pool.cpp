#include "core/backend/cpu/pooling.h"

namespace lockstep::cpu {
namespace {

/// Folds one window position into the maxima of a row of channels; `place` may be null.
template <class T>
LOCKSTEP_INLINE inline void take_maximum(const T* x, T* y, std::uint8_t* place, std::uint8_t tap, bool first, std::int64_t channels) {
  if (!place) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float value = to_float(x[c]), best = to_float(y[c]);
      if (first || value > best || value != value) y[c] = x[c];
    }
    return;
  }
#pragma omp simd
  for (std::int64_t c = 0; c < channels; ++c) {
    const float value = to_float(x[c]), best = to_float(y[c]);
    const bool better = first || value > best || value != value;
    y[c] = better ? x[c] : y[c];
    place[c] = better ? tap : place[c];
  }
}

template <class T>
void forward_sample(const PoolingGeometry& g, const T* x, T* y, std::uint8_t* place) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int32_t oh = 0; oh < g.height.output; ++oh)
      for (std::int32_t ow = 0; ow < g.width.output; ++ow) {
        const PoolingRange rows = g.height.taps(oh), columns = g.width.taps(ow);
        const std::int64_t out = (std::int64_t{oh} * g.width.output + ow) * g.channels;
        bool first = true;
        for (std::int32_t kh = rows.first; kh < rows.last; ++kh)
          for (std::int32_t kw = columns.first; kw < columns.last; ++kw) {
            const std::int64_t ih = g.height.start(oh) + kh, iw = g.width.start(ow) + kw;
            take_maximum(x + (ih * g.width.input + iw) * g.channels, y + out, place ? place + out : nullptr,
                         static_cast<std::uint8_t>(kh * g.width.size + kw), first, g.channels);
            first = false;
          }
      }
  });
}

void forward(const PoolingGeometry& g, const OpSpec& op, const KernelCall& call) {
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const x = static_cast<const T*>(call.reads[0]);
    T* const y = static_cast<T*>(call.writes[0]);
    std::uint8_t* const place = call.writes.size() > 1 ? static_cast<std::uint8_t*>(call.writes[1]) : nullptr;
    for (std::int64_t row = 0; row < call.rows; ++row)
      forward_sample(g, x + row * g.inputs(), y + row * g.outputs(), place ? place + row * g.outputs() : nullptr);
  });
}

/// Gathers instead of scattering: each element of dx is summed in f32 and written once.
template <class T>
void backward_sample(const PoolingGeometry& g, const T* dy, const std::uint8_t* place, T* dx, float* sum, bool accumulate) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int32_t ih = 0; ih < g.height.input; ++ih)
      for (std::int32_t iw = 0; iw < g.width.input; ++iw) {
        T* const target = dx + (std::int64_t{ih} * g.width.input + iw) * g.channels;
        for (std::int64_t c = 0; c < g.channels; ++c) sum[c] = accumulate ? to_float(target[c]) : 0.0f;
        const PoolingRange rows = g.height.outputs(ih), columns = g.width.outputs(iw);
        for (std::int32_t oh = rows.first; oh < rows.last; ++oh)
          for (std::int32_t ow = columns.first; ow < columns.last; ++ow) {
            const std::int32_t kh = ih - g.height.start(oh), kw = iw - g.width.start(ow);
            const auto tap = static_cast<std::uint8_t>(kh * g.width.size + kw);
            const std::int64_t out = (std::int64_t{oh} * g.width.output + ow) * g.channels;
#pragma omp simd
            for (std::int64_t c = 0; c < g.channels; ++c) sum[c] += place[out + c] == tap ? to_float(dy[out + c]) : 0.0f;
          }
#pragma omp simd
        for (std::int64_t c = 0; c < g.channels; ++c) store(target[c], sum[c]);
      }
  });
}

void backward(const PoolingGeometry& g, const OpSpec& op, const KernelCall& call) {
  const bool accumulate = op.writes[0].mode == WriteMode::accumulate;
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const dy = static_cast<const T*>(call.reads[0]);
    const auto* const place = static_cast<const std::uint8_t*>(call.reads[1]);
    T* const dx = static_cast<T*>(call.writes[0]);
    float* const sum = reinterpret_cast<float*>(call.workspace);
    for (std::int64_t row = 0; row < call.rows; ++row)
      backward_sample(g, dy + row * g.outputs(), place + row * g.outputs(), dx + row * g.inputs(), sum, accumulate);
  });
}

const RegisterKernel registered[] = {{"max_pool.forward", pooling_forward(forward)},
                                     {"max_pool.evaluate", pooling_forward(forward)},
                                     {"max_pool.backward", pooling_backward(backward)}};

}  // namespace
}  // namespace lockstep::cpu
