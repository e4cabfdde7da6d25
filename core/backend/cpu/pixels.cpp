#include "core/backend/cpu/pixels.h"

#include "core/backend/cpu/simd.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {

namespace {

template <class From, class To>
void take(const PixelGrid& grid, const From* from, To* to) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int64_t n = 0; n < grid.rows; ++n)
      for (std::int64_t y = 0; y < grid.kept[0]; ++y)
        for (std::int64_t x = 0; x < grid.kept[1]; ++x) {
          const From* f = from + ((n * grid.full[0] + y * grid.stride[0]) * grid.full[1] + x * grid.stride[1]) * grid.channels;
          To* t = to + ((n * grid.kept[0] + y) * grid.kept[1] + x) * grid.channels;
          for (std::int64_t c = 0; c < grid.channels; ++c) store(t[c], to_float(f[c]));
        }
  });
}

template <class From, class To>
void put(const PixelGrid& grid, const From* from, To* to) {
  dispatch([=]() LOCKSTEP_INLINE {
    for (std::int64_t n = 0; n < grid.rows; ++n)
      for (std::int64_t y = 0; y < grid.full[0]; ++y)
        for (std::int64_t x = 0; x < grid.full[1]; ++x) {
          To* t = to + ((n * grid.full[0] + y) * grid.full[1] + x) * grid.channels;
          if (y % grid.stride[0] != 0 || x % grid.stride[1] != 0) {
            for (std::int64_t c = 0; c < grid.channels; ++c) store(t[c], 0.0f);
            continue;
          }
          const From* f = from + ((n * grid.kept[0] + y / grid.stride[0]) * grid.kept[1] + x / grid.stride[1]) * grid.channels;
          for (std::int64_t c = 0; c < grid.channels; ++c) store(t[c], to_float(f[c]));
        }
  });
}

template <class Visit>
void with_types(const void* from, Dtype from_type, void* to, Dtype to_type, const Visit& visit) {
  const auto inner = [&](auto* f) {
    if (to_type == Dtype::f32) return visit(f, static_cast<float*>(to));
    return visit(f, static_cast<BFloat16*>(to));
  };
  if (from_type == Dtype::f32) return inner(static_cast<const float*>(from));
  return inner(static_cast<const BFloat16*>(from));
}

}  // namespace

void take_pixels(const PixelGrid& grid, const void* from, Dtype from_type, void* to, Dtype to_type) {
  with_types(from, from_type, to, to_type, [&](auto* f, auto* t) { take(grid, f, t); });
}

void put_pixels(const PixelGrid& grid, const void* from, Dtype from_type, void* to, Dtype to_type) {
  with_types(from, from_type, to, to_type, [&](auto* f, auto* t) { put(grid, f, t); });
}

}  // namespace lockstep::cpu
