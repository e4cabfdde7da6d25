#include <cstdint>

#include "core/backend/cpu/element_type.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"

namespace lockstep::cpu {
namespace {

/// Each image row is summed by itself, then added: fewer roundings than one long sum. `line` and `sum` hold a float a channel.
template <class T>
void forward_sample(const T* x, T* y, std::int64_t height, std::int64_t width, std::int64_t channels, float* line, float* sum) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int64_t c = 0; c < channels; ++c) sum[c] = 0.0f;
    for (std::int64_t h = 0; h < height; ++h) {
      for (std::int64_t c = 0; c < channels; ++c) line[c] = 0.0f;
      for (std::int64_t w = 0; w < width; ++w) {
        const T* const source = x + (h * width + w) * channels;
#pragma omp simd
        for (std::int64_t c = 0; c < channels; ++c) line[c] += to_float(source[c]);
      }
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) sum[c] += line[c];
    }
    const float count = static_cast<float>(height * width);
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) store(y[c], sum[c] / count);
  });
}

void forward(const OpSpec& op, const KernelCall& call) {
  const Shape& shape = op.reads[0].spec.shape;
  const std::int64_t elements = shape.elements(), channels = shape[2];
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const x = static_cast<const T*>(call.reads[0]);
    T* const y = static_cast<T*>(call.writes[0]);
    float* const line = reinterpret_cast<float*>(call.workspace);
    for (std::int64_t row = 0; row < call.rows; ++row)
      forward_sample(x + row * elements, y + row * channels, shape[0], shape[1], channels, line, line + channels);
  });
}

template <class T>
void backward_sample(const T* dy, T* dx, std::int64_t positions, std::int64_t channels, bool accumulate) {
  dispatch([=]() LOCKSTEP_INLINE {
    const float count = static_cast<float>(positions);
    for (std::int64_t p = 0; p < positions; ++p) {
      T* const target = dx + p * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float share = to_float(dy[c]) / count;
        store(target[c], accumulate ? to_float(target[c]) + share : share);
      }
    }
  });
}

void backward(const OpSpec& op, const KernelCall& call) {
  const Shape& shape = op.writes[0].spec.shape;
  const std::int64_t elements = shape.elements(), channels = shape[2];
  const bool accumulate = op.writes[0].mode == WriteMode::accumulate;
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const dy = static_cast<const T*>(call.reads[0]);
    T* const dx = static_cast<T*>(call.writes[0]);
    for (std::int64_t row = 0; row < call.rows; ++row)
      backward_sample(dy + row * channels, dx + row * elements, elements / channels, channels, accumulate);
  });
}

std::size_t two_lines(const OpSpec& op) { return 2 * static_cast<std::size_t>(op.reads[0].spec.shape[2]) * sizeof(float); }

const RegisterKernel registered[] = {{"global_average_pool.forward", simple_kernel(forward, two_lines)},
                                     {"global_average_pool.backward", simple_kernel(backward)}};

}  // namespace
}  // namespace lockstep::cpu
