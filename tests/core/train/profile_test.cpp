#include "core/train/profile.h"

#include <gtest/gtest.h>

#include <chrono>

#include "core/train/recorder.h"
#include "tests/support/queued_device.h"
#include "tests/support/small_training.h"

namespace lockstep {
namespace {

using test::QueuedDevice;

constexpr double kLong = 2e-3;

void spin() {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  for (const auto start = now(); now() - start < std::chrono::duration<double>(kLong);) {
  }
}

double seconds_of(const Profile& profile, const std::string& op) {
  for (const ProfileEntry& entry : profile.entries())
    if (entry.op == op) return entry.seconds;
  return -1;
}

TEST(ProfileTest, InstructionsOfOneOpAndKernelAreOneEntry) {
  Profile profile(host_device());
  const int first = profile.add("conv2d.forward", "engine 1", {.bytes = 10, .operations = 100});
  EXPECT_NE(profile.add("conv2d.forward", "engine 2", {.bytes = 1}), first);
  EXPECT_EQ(profile.add("conv2d.forward", "engine 1", {.bytes = 20, .operations = 200}), first);
  const ProfileEntry entry = profile.entries().front();
  EXPECT_EQ(entry.calls, 2);
  EXPECT_EQ(entry.work.bytes, 30);
  EXPECT_EQ(entry.work.operations, 300);
}

TEST(ProfileTest, APieceHasTheTimeSinceTheMarkBeforeItAndNobodysTimeIsNotCounted) {
  Profile profile(host_device());
  const int a = profile.add("a", ""), b = profile.add("b", "");
  profile.begin({1});
  spin();
  profile.mark(Profile::kNobody);
  profile.piece(a, spin);
  spin();
  profile.mark(Profile::kNobody);
  profile.piece(b, [] {});
  profile.finish();
  EXPECT_EQ(profile.steps(), 1);
  EXPECT_GE(seconds_of(profile, "a"), kLong);
  EXPECT_GE(seconds_of(profile, "b"), 0);
  EXPECT_LT(seconds_of(profile, "b"), kLong);
  EXPECT_EQ(profile.entries().front().op, "a");
}

TEST(ProfileTest, AReplaySetsTheMarksOfItsRecordingAnew) {
  QueuedDevice device(QueuedDevice::SideQueues::late);
  Profile profile(device);
  const int a = profile.add("a", ""), b = profile.add("b", "");
  Recorder recorder(device);
  const StreamView main = device.stream(Queue::kMain);
  for (int step = 0; step < 6; ++step) {
    const std::vector<std::int64_t> signature = {step % 2};
    profile.begin(signature);
    recorder.run(signature, [&] {
      profile.mark(Profile::kNobody);
      profile.piece(signature[0] == 0 ? a : b, [&] { device.enqueue(main, spin); });
    });
    device.wait(main);
    profile.finish();
  }
  EXPECT_EQ(recorder.recordings(), 2);
  EXPECT_EQ(profile.steps(), 6);
  EXPECT_GE(seconds_of(profile, "a"), 3 * kLong);
  EXPECT_GE(seconds_of(profile, "b"), 3 * kLong);
  profile.restart();
  EXPECT_EQ(seconds_of(profile, "a"), 0);
  EXPECT_EQ(profile.steps(), 0);
}

/// Both orders of work, on the host and on a device that records.
TEST(ProfileTest, AStepEntersAllItsKindsOfWorkAndTheirTimesAreItsOwn) {
  for (const bool by_instruction : {false, true}) {
    test::SmallTraining training{.graph = test::small_residual_network};
    if (by_instruction) training.backend = test::cpu_by_instruction;
    const auto plain = test::train_on(1, training);
    training.profile = [&](const Profile& profile) {
      for (const char* op : {"conv2d.forward", "conv2d.backward_data", "conv2d.backward_weights", "reduce statistics", "pack weights", "norm", "update"})
        EXPECT_GT(seconds_of(profile, op), 0) << op;
      EXPECT_GT(profile.steps(), 0);
    };
    EXPECT_EQ(test::train_on(1, training).digest, plain.digest);
  }
}

}  // namespace
}  // namespace lockstep
