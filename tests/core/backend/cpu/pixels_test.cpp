#include "core/backend/cpu/pixels.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {
namespace {

TEST(PixelsTest, TakesEveryStridethPixelAndPutsItBackAmongZeros) {
  const PixelGrid grid{.rows = 2, .full = {3, 4}, .kept = {2, 2}, .stride = {2, 3}, .channels = 2};
  std::vector<float> full(2 * 3 * 4 * 2), kept(2 * 2 * 2 * 2);
  for (std::size_t i = 0; i < full.size(); ++i) full[i] = static_cast<float>(i + 1);
  take_pixels(grid, full.data(), Dtype::f32, kept.data(), Dtype::f32);
  EXPECT_EQ(kept, (std::vector<float>{1, 2, 7, 8, 17, 18, 23, 24, 25, 26, 31, 32, 41, 42, 47, 48}));
  std::vector<float> back(full.size(), -1.0f);
  put_pixels(grid, kept.data(), Dtype::f32, back.data(), Dtype::f32);
  for (std::size_t i = 0; i < full.size(); ++i) {
    const std::size_t pixel = i / 2 % 12;
    const bool on_grid = pixel / 4 % 2 == 0 && pixel % 4 % 3 == 0;
    EXPECT_EQ(back[i], on_grid ? full[i] : 0.0f) << i;
  }
}

TEST(PixelsTest, ConvertsBetweenTypes) {
  const PixelGrid whole{.channels = 37};
  std::vector<float> values(37), back(37);
  std::vector<BFloat16> halves(37);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + 1.0f / 1024;
  put_pixels(whole, values.data(), Dtype::f32, halves.data(), Dtype::bf16);
  take_pixels(whole, halves.data(), Dtype::bf16, back.data(), Dtype::f32);
  for (std::size_t i = 1; i < values.size(); ++i) EXPECT_EQ(back[i], static_cast<float>(i));
}

}  // namespace
}  // namespace lockstep::cpu
