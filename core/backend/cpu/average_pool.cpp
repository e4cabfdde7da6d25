#include "core/backend/cpu/pooling.h"

namespace lockstep::cpu {
namespace {

template <class T>
void forward_sample(const PoolingGeometry& g, const T* x, T* y, float* sum) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int32_t oh = 0; oh < g.height.output; ++oh)
      for (std::int32_t ow = 0; ow < g.width.output; ++ow) {
        const PoolingRange rows = g.height.taps(oh), columns = g.width.taps(ow);
        for (std::int64_t c = 0; c < g.channels; ++c) sum[c] = 0.0f;
        for (std::int32_t kh = rows.first; kh < rows.last; ++kh)
          for (std::int32_t kw = columns.first; kw < columns.last; ++kw) {
            const std::int64_t ih = g.height.start(oh) + kh, iw = g.width.start(ow) + kw;
            const T* const source = x + (ih * g.width.input + iw) * g.channels;
#pragma omp simd
            for (std::int64_t c = 0; c < g.channels; ++c) sum[c] += to_float(source[c]);
          }
        const float count = static_cast<float>(rows.count() * columns.count());
        T* const target = y + (std::int64_t{oh} * g.width.output + ow) * g.channels;
#pragma omp simd
        for (std::int64_t c = 0; c < g.channels; ++c) store(target[c], sum[c] / count);
      }
  });
}

void forward(const PoolingGeometry& g, const OpSpec& op, const KernelCall& call) {
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const x = static_cast<const T*>(call.reads[0]);
    T* const y = static_cast<T*>(call.writes[0]);
    for (std::int64_t row = 0; row < call.rows; ++row)
      forward_sample(g, x + row * g.inputs(), y + row * g.outputs(), reinterpret_cast<float*>(call.workspace));
  });
}

/// Gathers: each element of dx is summed in f32 and written once.
template <class T>
void backward_sample(const PoolingGeometry& g, const T* dy, T* dx, float* sum, bool accumulate) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int32_t ih = 0; ih < g.height.input; ++ih)
      for (std::int32_t iw = 0; iw < g.width.input; ++iw) {
        T* const target = dx + (std::int64_t{ih} * g.width.input + iw) * g.channels;
        for (std::int64_t c = 0; c < g.channels; ++c) sum[c] = accumulate ? to_float(target[c]) : 0.0f;
        const PoolingRange rows = g.height.outputs(ih), columns = g.width.outputs(iw);
        for (std::int32_t oh = rows.first; oh < rows.last; ++oh)
          for (std::int32_t ow = columns.first; ow < columns.last; ++ow) {
            const PoolingRange high = g.height.taps(oh), wide = g.width.taps(ow);
            const float count = static_cast<float>(high.count() * wide.count());
            const T* const source = dy + (std::int64_t{oh} * g.width.output + ow) * g.channels;
#pragma omp simd
            for (std::int64_t c = 0; c < g.channels; ++c) sum[c] += to_float(source[c]) / count;
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
    T* const dx = static_cast<T*>(call.writes[0]);
    for (std::int64_t row = 0; row < call.rows; ++row)
      backward_sample(g, dy + row * g.outputs(), dx + row * g.inputs(), reinterpret_cast<float*>(call.workspace), accumulate);
  });
}

const RegisterKernel registered[] = {{"average_pool.forward", pooling_forward(forward)},
                                     {"average_pool.backward", pooling_backward(backward)}};

}  // namespace
}  // namespace lockstep::cpu
