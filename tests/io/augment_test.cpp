#include "io/augment.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "tests/io/data_file.h"

namespace lockstep {
namespace {

using testing::expect_error;

Value option(const std::string& name, Value value) { return Value(Value::Data(Value::Table{{name, std::move(value)}})); }

/// 1, 2, 3, ... over [height, width, channels] through the augmentation.
std::vector<float> apply(const Value& what, const AugmentRandom& random, std::int64_t height, std::int64_t width, std::int64_t channels) {
  const auto steps = make_augmentations(std::vector<Value>{what});
  std::vector<float> image(static_cast<std::size_t>(height * width * channels)), scratch(image.size());
  std::iota(image.begin(), image.end(), 1.0f);
  std::vector<float> fill(static_cast<std::size_t>(channels));
  for (std::size_t c = 0; c < fill.size(); ++c) fill[c] = -1.0f - static_cast<float>(c);
  steps[0].augmentation->apply({image.data(), height, width, channels, fill, scratch.data()}, random);
  return image;
}

TEST(AugmentTest, FlipsMirrorPixelsAndKeepChannels) {
  EXPECT_EQ(apply(option("flip_horizontal", Value::real(1)), {}, 2, 3, 2), (std::vector<float>{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8}));
  EXPECT_EQ(apply(option("flip_vertical", Value::real(1)), {}, 3, 2, 1), (std::vector<float>{5, 6, 3, 4, 1, 2}));
  EXPECT_EQ(apply(option("flip_vertical", Value::integer(0)), {}, 2, 1, 1), (std::vector<float>{1, 2}));
}

TEST(AugmentTest, FlipsHappenWithTheirProbability) {
  const auto count = [](const Value& what) {
    int flipped = 0;
    for (std::int64_t position = 0; position < 4000; ++position) flipped += apply(what, {77, 1, position}, 1, 2, 1)[0] == 2.0f;
    return flipped;
  };
  EXPECT_NEAR(count(Value::text("flip_horizontal")), 2000, 110);  // 3.5 standard deviations
  EXPECT_NEAR(count(option("flip_horizontal", Value::real(0.1))), 400, 67);
}

TEST(AugmentTest, ShiftMovesByEveryOffsetAlikeAndFillsWithBlack) {
  std::map<std::vector<float>, int> counts;
  for (std::int64_t position = 0; position < 9000; ++position)
    ++counts[apply(option("shift", Value::integer(1)), {5, 0, position}, 2, 2, 2)];
  ASSERT_EQ(counts.size(), 9u);
  for (const auto& [image, count] : counts) EXPECT_NEAR(count, 1000, 105);
  // Down and to the right by one: the first pixel stands in the last place.
  EXPECT_TRUE(counts.count({-1, -2, -1, -2, -1, -2, 1, 2}));
  // Up by one.
  EXPECT_TRUE(counts.count({5, 6, 7, 8, -1, -2, -1, -2}));
}

TEST(AugmentTest, ShiftsLargerThanTheImageLeaveBlackOrPixels) {
  for (std::int64_t position = 0; position < 200; ++position)
    for (const float value : apply(option("shift", Value::integer(5)), {5, 0, position}, 2, 3, 1))
      EXPECT_TRUE(value == -1.0f || (value >= 1.0f && value <= 6.0f)) << value;
}

TEST(AugmentTest, DrawsDifferByPositionAndEpochAndRepeat) {
  const AugmentRandom random{9, 2, 40};
  EXPECT_EQ(random.draw().w[0], (AugmentRandom{9, 2, 40}.draw().w[0]));
  EXPECT_NE(random.draw().w[0], (AugmentRandom{9, 2, 41}.draw().w[0]));
  EXPECT_NE(random.draw().w[0], (AugmentRandom{9, 3, 40}.draw().w[0]));
  EXPECT_NE(random.draw().w[0], random.draw(1).w[0]);
}

TEST(AugmentTest, TwoOfAKindHaveStreamsOfTheirOwn) {
  const auto steps = make_augmentations(
      std::vector<Value>{Value::text("flip_vertical"), option("shift", Value::integer(1)), option("shift", Value::integer(2))});
  EXPECT_EQ(steps[0].name, "flip_vertical");
  EXPECT_EQ(steps[1].name, "shift");
  EXPECT_EQ(steps[2].name, "shift.2");
}

TEST(AugmentTest, MistakesAreNamed) {
  const auto make = [](const Value& value) { make_augmentations(std::vector<Value>{value}); };
  expect_error(ErrorKind::run_file, "unknown augmentation \"flip\"", [&] { make(Value::text("flip")); });
  expect_error(ErrorKind::run_file, "\"shift\": expected an integer, got true", [&] { make(Value::text("shift")); });
  expect_error(ErrorKind::run_file, "\"shift\": expected at least 1, got 0", [&] { make(option("shift", Value::integer(0))); });
  expect_error(ErrorKind::run_file, "\"flip_vertical\": expected at most 1, got 1.5",
               [&] { make(option("flip_vertical", Value::real(1.5))); });
  expect_error(ErrorKind::run_file, "expected a probability, got false", [&] { make(option("flip_vertical", Value::boolean(false))); });
}

}  // namespace
}  // namespace lockstep
