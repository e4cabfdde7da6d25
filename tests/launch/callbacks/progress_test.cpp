#include "launch/callbacks/progress.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

/// A run of 4 epochs of 50 steps of 10 samples, seen through a clock that the test moves.
struct Watched {
  double now = 1000;
  std::vector<std::string> written;
  ProgressCallback callback;
  std::int64_t step = 0;
  bool updated = true;
  double loss_scale = 1;

  explicit Watched(ProgressCallback::Options options) : callback(with_fakes(std::move(options))) {}

  ProgressCallback::Options with_fakes(ProgressCallback::Options options) {
    options.write = [this](std::string_view text) { written.emplace_back(text); };
    options.clock = [this] { return now; };
    return options;
  }
  void take(double seconds) {
    LoopRequest request;
    now += seconds;
    callback.on_step_end({.step = step + 1,
                          .total_steps = 200,
                          .epoch = step / 50,
                          .epoch_step = step % 50 + 1,
                          .steps_per_epoch = 50,
                          .samples = 10,
                          .loss = 1.5,
                          .learning_rate = 0.0001,
                          .step_seconds = seconds,
                          .updated = updated,
                          .loss_scale = loss_scale},
                         request);
    ++step;
  }
};

TEST(ProgressTest, TheFirstStepIsShownAtOnceAndLeftOutOfRates) {
  Watched run({.mode = ProgressMode::plain, .every_steps = 10});
  run.take(9);
  ASSERT_EQ(run.written.size(), 1u);
  EXPECT_EQ(run.written[0], "epoch 1/4  step 1/200  loss 1.5000  rate 1.0000e-04\n");
  for (int i = 0; i < 9; ++i) run.take(0.5);
  ASSERT_EQ(run.written.size(), 2u);
  EXPECT_EQ(run.written[1], "epoch 1/4  step 10/200  loss 1.5000  rate 1.0000e-04  20 samples/s  to go 1:35\n");
}

TEST(ProgressTest, ALossScaleAndSkippedUpdatesAreShown) {
  Watched run({.mode = ProgressMode::plain, .every_steps = 1});
  run.loss_scale = 65536;
  run.take(2);
  run.updated = false;
  run.take(2);
  EXPECT_EQ(run.written.at(0), "epoch 1/4  step 1/200  loss 1.5000  rate 1.0000e-04  loss scale 65536\n");
  EXPECT_EQ(run.written.at(1).find("epoch 1/4  step 2/200  loss 1.5000  rate 1.0000e-04  loss scale 65536  skipped 1  5 samples/s"), 0u) << run.written.at(1);
  Watched json({.mode = ProgressMode::json, .every_steps = 1});
  json.loss_scale = 0.5;
  json.take(2);
  EXPECT_NE(json.written.at(0).find("\"loss_scale\":0.5,\"skipped\":0"), std::string::npos) << json.written.at(0);
}

TEST(ProgressTest, FastStepsGiveAtMostOneLineASecond) {
  Watched run({.mode = ProgressMode::plain, .every_steps = 1});
  for (int i = 0; i < 100; ++i) run.take(0.125);
  // 12.375 s after the first line.
  EXPECT_EQ(run.written.size(), 13u);
}

TEST(ProgressTest, SlowStepsGiveALineAMinute) {
  Watched run({.mode = ProgressMode::plain, .every_steps = 1000});
  for (int i = 0; i < 13; ++i) run.take(20);
  EXPECT_EQ(run.written.size(), 5u);
}

TEST(ProgressTest, AnEpochAlwaysGetsItsSummary) {
  Watched run({.mode = ProgressMode::plain});
  run.take(0.1);
  LoopRequest request;
  run.callback.on_epoch_end({.step = 50,
                             .total_steps = 200,
                             .epoch = 0,
                             .metrics = {{"train.loss", 0.5}, {"validation.accuracy", 0.875}},
                             .seconds = 5,
                             .samples = 500},
                            request);
  ASSERT_EQ(run.written.size(), 2u);
  EXPECT_EQ(run.written[1], "epoch 1/4 done  0:05  100 samples/s  train.loss 0.5000  validation.accuracy 0.8750\n");
}

TEST(ProgressTest, PlainLinesNeverHoldAControlCharacter) {
  Watched run({.mode = ProgressMode::plain, .every_steps = 1, .utf8 = true, .color = true});
  for (int i = 0; i < 50; ++i) run.take(1);
  run.callback.on_run_end("done: 200 steps");
  EXPECT_EQ(run.written.back(), "done: 200 steps\n");
  for (const std::string& line : run.written) {
    EXPECT_EQ(line.find_first_of("\r\x1b"), std::string::npos) << line;
    EXPECT_EQ(line.find('\n'), line.size() - 1);
  }
}

TEST(ProgressTest, TheBarFitsItsTerminalAndIsErasedBeforeOtherLines) {
  Watched run({.mode = ProgressMode::bar, .columns = 60});
  for (int i = 0; i < 25; ++i) run.take(1);
  EXPECT_EQ(run.written.back(), "\r\x1b[Kepoch 1/4 ==========.......... 25/50  loss 1.5000  10 sampl");
  run.callback.on_run_end("stopped");
  EXPECT_EQ(run.written[run.written.size() - 2], "\r\x1b[K");
  EXPECT_EQ(run.written.back(), "stopped\n");
}

TEST(ProgressTest, TheBarIsRedrawnTenTimesASecondAtMost) {
  Watched run({.mode = ProgressMode::bar});
  for (int i = 0; i < 160; ++i) run.take(1.0 / 128);
  EXPECT_EQ(run.written.size(), 1 + 159 / 13);
}

TEST(ProgressTest, JsonLinesStandAlone) {
  Watched run({.mode = ProgressMode::json});
  run.take(1);
  EXPECT_EQ(run.written[0], "{\"event\":\"step\",\"step\":1,\"total_steps\":200,\"epoch\":0,\"loss\":1.5,\"learning_rate\":0.0001}\n");
  run.callback.on_run_end("done");
  EXPECT_EQ(run.written[1], "{\"event\":\"end\",\"outcome\":\"done\"}\n");
}

TEST(ProgressTest, OffIsSilent) {
  Watched run({.mode = ProgressMode::off});
  run.take(1);
  run.callback.on_run_end("done");
  EXPECT_TRUE(run.written.empty());
}

}  // namespace
}  // namespace lockstep
