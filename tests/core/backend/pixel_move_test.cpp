#include "core/backend/pixel_move.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "core/base/philox.h"

namespace lockstep {
namespace {

constexpr int kBlack = -1;

std::vector<int> shown(const AxisMove& move, std::int32_t extent) {
  std::vector<int> result;
  for (std::int32_t i = 0; i < extent; ++i) result.push_back(move.source(i, extent));
  return result;
}

/// The moves done to a line of pixels, one after another.
struct Line {
  explicit Line(std::int32_t extent) : pixels(static_cast<std::size_t>(extent)) { std::iota(pixels.begin(), pixels.end(), 0); }
  void flip() { pixels = std::vector<int>(pixels.rbegin(), pixels.rend()); }
  void shift(std::int32_t distance) {
    std::vector<int> moved(pixels.size(), kBlack);
    const auto extent = static_cast<std::int32_t>(pixels.size());
    for (std::int32_t i = 0; i < extent; ++i)
      if (i - distance >= 0 && i - distance < extent) moved[static_cast<std::size_t>(i)] = pixels[static_cast<std::size_t>(i - distance)];
    pixels = moved;
  }
  std::vector<int> pixels;
};

TEST(PixelMoveTest, NothingMovesByDefault) { EXPECT_EQ(shown({}, 3), (std::vector<int>{0, 1, 2})); }

TEST(PixelMoveTest, WhatWasPushedOutDoesNotComeBack) {
  AxisMove move;
  move.then_shift(2, 4);
  EXPECT_EQ(shown(move, 4), (std::vector<int>{kBlack, kBlack, 0, 1}));
  move.then_shift(-2, 4);
  EXPECT_EQ(shown(move, 4), (std::vector<int>{0, 1, kBlack, kBlack}));
  move.then_flip(4);
  EXPECT_EQ(shown(move, 4), (std::vector<int>{kBlack, kBlack, 1, 0}));
}

TEST(PixelMoveTest, AnySequenceEqualsItsMovesOneAfterAnother) {
  for (std::int32_t extent : {1, 2, 3, 7, 10})
    for (std::uint64_t sequence = 0; sequence < 2000; ++sequence) {
      AxisMove move;
      Line line(extent);
      const auto steps = 1 + sequence % 7;
      for (std::uint64_t step = 0; step < steps; ++step) {
        const Philox::Words draw = Philox::draw(sequence, step, static_cast<std::uint64_t>(extent));
        if (draw.w[0] % 3 == 0) {
          move.then_flip(extent);
          line.flip();
        } else {
          const auto most = static_cast<std::uint32_t>(extent + 2);
          const auto distance = static_cast<std::int32_t>(draw.w[1] % (2 * most + 1)) - static_cast<std::int32_t>(most);
          move.then_shift(distance, extent);
          line.shift(distance);
        }
      }
      ASSERT_EQ(shown(move, extent), line.pixels) << "extent " << extent << ", sequence " << sequence;
    }
}

TEST(PixelMoveTest, BlackIsAStoredZero) {
  EXPECT_EQ(scaled_pixel(0.0f, 0.5f, -3.0f), -1.5f);
  EXPECT_EQ(scaled_pixel(5.0f, 1.0f, 0.0f), 5.0f);
}

}  // namespace
}  // namespace lockstep
