#include <type_traits>

#include "core/backend/cuda/register.h"
#include "core/backend/cuda/row_parts.h"

namespace lockstep::cuda {
namespace {

/// A block of the forward kernel: kLanes groups of channels of one sample, kLines image rows at a time.
constexpr unsigned kLanes = 32, kLines = 8;

struct Image {
  unsigned height, width, channels;
};

/// Each image row is summed by itself, by one thread, then the rows are added from top to bottom.
template <class T, int WIDTH>
__global__ void global_average_pool_forward(Image image, unsigned blocks_per_row, const T* x, T* y) {
  __shared__ float lines[kLines][WIDTH][kLanes];
  const unsigned lane = threadIdx.x, own = threadIdx.y, row = blockIdx.x / blocks_per_row;
  const unsigned channel = ((blockIdx.x - row * blocks_per_row) * kLanes + lane) * WIDTH;
  const bool inside = channel < image.channels;
  float sum = 0.0f;  // of channel `channel + own`, where own < WIDTH
  for (unsigned first = 0; first < image.height; first += kLines) {
    const unsigned line = first + own;
    if (inside && line < image.height) {
      const T* const source = x + ((row * image.height + line) * image.width * image.channels + channel);
      float total[WIDTH] = {};
      for (unsigned w = 0; w < image.width; ++w) {
        float value[WIDTH];
        load_elements(source + w * image.channels, value);
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) total[i] += value[i];
      }
#pragma unroll
      for (int i = 0; i < WIDTH; ++i) lines[own][i][lane] = total[i];
    }
    __syncthreads();
    if (inside && own < WIDTH) {
      const unsigned count = image.height - first < kLines ? image.height - first : kLines;
      for (unsigned k = 0; k < count; ++k) sum += lines[k][own][lane];
    }
    __syncthreads();
  }
  if (own < WIDTH) lines[0][own][lane] = sum / static_cast<float>(image.height * image.width);
  __syncthreads();
  if (!inside || own != 0) return;
  float mean[WIDTH];
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) mean[i] = lines[0][i][lane];
  store_elements(y + (row * image.channels + channel), mean);
}

/// A part's items are groups of channels; all positions of a sample get the same share.
template <class T, int WIDTH>
__global__ void global_average_pool_backward(Image image, unsigned items, const T* dy, T* dx, bool accumulate) {
  const unsigned item = item_index(), groups = image.channels / WIDTH, positions = image.height * image.width;
  if (item >= items) return;
  const unsigned pixel = item / groups, group = item - pixel * groups, row = pixel / positions;
  const float count = static_cast<float>(positions);
  float share[WIDTH];
  load_elements(dy + (row * image.channels + group * WIDTH), share);
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) share[i] = share[i] / count;
  if (accumulate) {
    float target[WIDTH];
    load_elements(dx + item * WIDTH, target);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) share[i] = target[i] + share[i];
  }
  store_elements(dx + item * WIDTH, share);
}

Image image_of(const Shape& shape) {
  return {static_cast<unsigned>(shape[0]), static_cast<unsigned>(shape[1]), static_cast<unsigned>(shape[2])};
}

template <class Body>
void with_width(bool vectors, const Body& body) {
  if (vectors)
    body(std::integral_constant<int, 8>{});
  else
    body(std::integral_constant<int, 1>{});
}

void forward(const OpSpec& op, const KernelCall& call) {
  const Shape& shape = op.reads[0].spec.shape;
  const std::int64_t elements = shape.elements(), channels = shape[2];
  with_element_type(op, op.reads[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    const T* const x = static_cast<const T*>(call.reads[0]);
    T* const y = static_cast<T*>(call.writes[0]);
    with_width(suits_vectors(channels, {x, y}), [&](auto width) {
      const std::int64_t blocks_per_row = (channels / width.value + kLanes - 1) / kLanes;
      in_parts(call.rows, elements, [&](std::int64_t first, std::int64_t rows) {
        launch(global_average_pool_forward<T, width.value>, dim3(static_cast<unsigned>(rows * blocks_per_row)), dim3(kLanes, kLines),
               call.stream, image_of(shape), static_cast<unsigned>(blocks_per_row), x + first * elements, y + first * channels);
      });
    });
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
    with_width(suits_vectors(channels, {dy, dx}), [&](auto width) {
      in_parts(call.rows, elements, [&](std::int64_t first, std::int64_t rows) {
        const std::int64_t items = rows * elements / width.value;
        launch(global_average_pool_backward<T, width.value>, item_blocks(items), dim3(kItemThreads), call.stream, image_of(shape),
               static_cast<unsigned>(items), dy + first * channels, dx + first * elements, accumulate);
      });
    });
  });
}

MakeKernel fitting(void (*run)(const OpSpec&, const KernelCall&)) {
  return [make = simple_kernel(run)](const OpSpec& op) {
    require_fits(op, std::max(op.reads[0].spec.elements(), op.writes[0].spec.elements()));
    return make(op);
  };
}

const RegisterKernel registered[] = {{"global_average_pool.forward", fitting(forward)},
                                     {"global_average_pool.backward", fitting(backward)}};

}  // namespace
}  // namespace lockstep::cuda
