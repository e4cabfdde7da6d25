#include "core/backend/cuda/register.h"
#include "core/backend/cuda/row_parts.h"
#include "core/backend/prepared_image.h"

namespace lockstep::cuda {
namespace {

struct Image {
  std::int32_t height, width;
  unsigned channels, numbers;

  __device__ unsigned pixels() const { return static_cast<unsigned>(height) * static_cast<unsigned>(width); }
};

/// WIDTH neighbouring elements of one row, which may lie in several pixels and lines.
template <class T, int WIDTH>
__global__ void prepare_input(Image image, unsigned items, const std::uint8_t* x, const PixelMove* moves, const float* scale,
                              const float* offset, T* y) {
  const unsigned item = item_index();
  if (item >= items) return;
  const unsigned first = item * WIDTH, pixel = first / image.channels, line = pixel / static_cast<unsigned>(image.width);
  unsigned channel = first - pixel * image.channels;
  auto w = static_cast<std::int32_t>(pixel - line * static_cast<unsigned>(image.width));
  const unsigned row = line / static_cast<unsigned>(image.height);
  auto h = static_cast<std::int32_t>(line - row * static_cast<unsigned>(image.height));
  const PixelMove move = moves ? moves[row] : PixelMove{};
  const std::uint8_t* const stored = x + row * image.pixels() * image.channels;
  std::int32_t from_h = move.vertical.source(h, image.height), from_w = move.horizontal.source(w, image.width);
  float value[WIDTH];
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) {
    const bool black = from_h < 0 || from_w < 0;
    const unsigned from = black ? 0 : static_cast<unsigned>(from_h) * static_cast<unsigned>(image.width) + static_cast<unsigned>(from_w);
    const unsigned number = image.numbers == 1 ? 0 : channel;
    value[i] = scaled_pixel(black ? 0.0f : static_cast<float>(stored[from * image.channels + channel]), scale[number], offset[number]);
    if (++channel < image.channels) continue;
    channel = 0;
    if (++w == image.width) {
      w = 0;
      from_h = move.vertical.source(++h, image.height);
    }
    from_w = move.horizontal.source(w, image.width);
  }
  store_elements(y + first, value);
}

/// Where nothing moves, elements stay in their places: whole vectors on both sides.
template <class T>
__global__ void scale_input(unsigned channels, unsigned numbers, unsigned items, const std::uint8_t* x, const float* scale,
                            const float* offset, T* y) {
  const unsigned item = item_index();
  if (item >= items) return;
  unsigned bytes[8];
  load_bytes(x + item * 8, bytes);
  unsigned channel = item * 8 % channels;
  float value[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const unsigned number = numbers == 1 ? 0 : channel;
    value[i] = scaled_pixel(static_cast<float>(bytes[i]), scale[number], offset[number]);
    channel = channel + 1 < channels ? channel + 1 : 0;
  }
  store_elements(y + item * 8, value);
}

void prepare(const OpSpec& op, const KernelCall& call) {
  const PreparedImage what(op);
  if (what.elements == 0) return;
  const Image image{static_cast<std::int32_t>(what.height), static_cast<std::int32_t>(what.width), static_cast<unsigned>(what.channels),
                    static_cast<unsigned>(what.numbers)};
  const auto *const scale = static_cast<const float*>(call.reads[2]), *const offset = static_cast<const float*>(call.reads[3]);
  with_element_type(op, op.writes[0].spec.dtype, [&](auto type) {
    using T = decltype(type);
    in_parts(call.rows, what.elements, [&](std::int64_t first, std::int64_t rows) {
      const auto* const x = static_cast<const std::uint8_t*>(call.reads[0]) + first * what.elements;
      const PixelMove* const moves = call.reads[1] ? static_cast<const PixelMove*>(call.reads[1]) + first : nullptr;
      T* const y = static_cast<T*>(call.writes[0]) + first * what.elements;
      const std::int64_t elements = rows * what.elements;
      const bool vectors = suits_vectors(what.elements, {y});
      const auto items = static_cast<unsigned>(vectors ? elements / 8 : elements);
      if (!moves && suits_vectors(what.elements, {y}, {x}))
        launch(scale_input<T>, item_blocks(items), dim3(kItemThreads), call.stream, image.channels, image.numbers, items, x, scale, offset,
               y);
      else if (vectors)
        launch(prepare_input<T, 8>, item_blocks(items), dim3(kItemThreads), call.stream, image, items, x, moves, scale, offset, y);
      else
        launch(prepare_input<T, 1>, item_blocks(items), dim3(kItemThreads), call.stream, image, items, x, moves, scale, offset, y);
    });
  });
}

std::unique_ptr<Kernel> make(const OpSpec& op) {
  require_fits(op, op.writes[0].spec.elements());
  return simple_kernel(prepare)(op);
}

const RegisterKernel registered("input.prepare", make);

}  // namespace
}  // namespace lockstep::cuda
