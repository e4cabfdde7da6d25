#include "io/checkpoint_inspect.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/model/state_digest.h"
#include "core/tensor/bfloat16.h"
#include "tests/support/sample_state.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

template <class T>
MemberSummary summary_of(Dtype dtype, const std::vector<T>& values) {
  Snapshot::Member member{.name = "a/b", .value = Tensor({Shape{static_cast<std::int64_t>(values.size())}, dtype})};
  std::copy(values.begin(), values.end(), member.value.as<T>());
  return summarize(member);
}

TEST(CheckpointInspectTest, RangesLeaveNansOut) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const MemberSummary some = summary_of<float>(Dtype::f32, {nan, 1.0f, -3.0f, nan, 5.0f});
  EXPECT_EQ(some.minimum, -3.0);
  EXPECT_EQ(some.mean, 1.0);
  EXPECT_EQ(some.maximum, 5.0);
  EXPECT_EQ(some.nans, 2);
  EXPECT_EQ(some.bytes, 20u);
  EXPECT_TRUE(std::isnan(summary_of<float>(Dtype::f32, {nan}).mean));
  EXPECT_TRUE(std::isnan(summary_of<float>(Dtype::f32, {}).minimum));
}

TEST(CheckpointInspectTest, EveryDtypeIsUnderstood) {
  EXPECT_EQ(summary_of<double>(Dtype::f64, {0.5, 1.5}).mean, 1.0);
  EXPECT_EQ(summary_of<std::uint8_t>(Dtype::u8, {1, 255}).maximum, 255.0);
  EXPECT_EQ(summary_of<std::int32_t>(Dtype::i32, {-7, 1}).minimum, -7.0);
  EXPECT_EQ(summary_of<std::int64_t>(Dtype::i64, {-7, 1}).mean, -3.0);
  EXPECT_EQ(summary_of<BFloat16>(Dtype::bf16, {to_bfloat16(2.0f), to_bfloat16(-4.0f)}).minimum, -4.0);
  // 1, -2, the least subnormal 2^-24, the largest 65504, infinity, NaN: IEEE 754 binary16.
  const MemberSummary half = summary_of<std::uint16_t>(Dtype::f16, {0x3C00, 0xC000, 0x0001, 0x7BFF, 0x7E00});
  EXPECT_EQ(half.minimum, -2.0);
  EXPECT_EQ(half.maximum, 65504.0);
  EXPECT_EQ(half.nans, 1);
  EXPECT_EQ(half.mean, (1.0 - 2.0 + 0x1p-24 + 65504.0) / 4);
  EXPECT_EQ(summary_of<std::uint16_t>(Dtype::f16, {0x7C00}).maximum, std::numeric_limits<double>::infinity());
}

TEST(CheckpointInspectTest, TheWholeFileIsSummarised) {
  testing::TemporaryDirectory directory;
  testing::SampleState state(3);
  const auto visit = [&](StateVisitor& visitor) { state.visit(visitor); };
  save_checkpoint(directory / "a.h5", {.step = 5}, visit);
  const CheckpointSummary summary = inspect_checkpoint(directory / "a.h5");
  EXPECT_EQ(summary.meta.step, 5);
  EXPECT_EQ(summary.digest, state_digest(visit));
  EXPECT_EQ(summary.bytes, 48u + 6 + 48 + 8 + 8 + 16 + 18 + 64);
  ASSERT_EQ(summary.members.size(), 8u);
  EXPECT_EQ(summary.members[0].name, "parameters/head.weight");
  EXPECT_EQ(summary.members[0].minimum, 3.0);
  EXPECT_EQ(summary.members[1].maximum, to_float(BFloat16{0x3F82}));
  EXPECT_TRUE(std::isnan(summary.members[6].mean));
  EXPECT_EQ(summary.members[6].name, "run/note");
}

}  // namespace
}  // namespace lockstep
