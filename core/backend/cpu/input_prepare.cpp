#include "core/backend/cpu/element_type.h"
#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/backend/prepared_image.h"

namespace lockstep::cpu {
namespace {

struct Scales {
  const float *scale, *offset;
  std::int64_t step;  ///< 0 where one number serves all channels
};

/// One pixel; `x` is null for black.
template <class T>
LOCKSTEP_INLINE inline void prepare_pixel(const std::uint8_t* x, T* y, std::int64_t channels, Scales s) {
  for (std::int64_t c = 0; c < channels; ++c)
    store(y[c], scaled_pixel(x ? static_cast<float>(x[c]) : 0.0f, s.scale[c * s.step], s.offset[c * s.step]));
}

template <class T>
void prepare_row(const PreparedImage& image, const std::uint8_t* x, PixelMove move, Scales s, T* y) {
  dispatch([=]() LOCKSTEP_INLINE {
    const auto height = static_cast<std::int32_t>(image.height), width = static_cast<std::int32_t>(image.width);
    for (std::int32_t h = 0; h < height; ++h) {
      const std::int64_t from_h = move.vertical.source(h, height);
      for (std::int32_t w = 0; w < width; ++w) {
        const std::int64_t from_w = move.horizontal.source(w, width);
        const std::uint8_t* const pixel = from_h < 0 || from_w < 0 ? nullptr : x + (from_h * width + from_w) * image.channels;
        prepare_pixel(pixel, y + (std::int64_t{h} * width + w) * image.channels, image.channels, s);
      }
    }
  });
}

void prepare(const OpSpec& op, const KernelCall& call) {
  const PreparedImage image(op);
  const Scales scales{static_cast<const float*>(call.reads[2]), static_cast<const float*>(call.reads[3]), image.numbers > 1 ? 1 : 0};
  const auto* const x = static_cast<const std::uint8_t*>(call.reads[0]);
  const auto* const moves = static_cast<const PixelMove*>(call.reads[1]);
  with_element_type(op, op.writes[0].spec.dtype, [&](auto type) {
    auto* const y = static_cast<decltype(type)*>(call.writes[0]);
    for (std::int64_t row = 0; row < call.rows; ++row)
      prepare_row(image, x + row * image.elements, moves ? moves[row] : PixelMove{}, scales, y + row * image.elements);
  });
}

const RegisterKernel registered("input.prepare", simple_kernel(prepare));

}  // namespace
}  // namespace lockstep::cpu
