#include "launch/callbacks/early_stopping.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/model/snapshot.h"

namespace lockstep {
namespace {

using Mode = EarlyStopping::Mode;

LoopRequest show(EarlyStopping& stopping, std::int64_t epoch, double value, const std::string& name = "validation.loss") {
  LoopRequest request;
  stopping.on_epoch_end({.step = epoch + 1, .total_steps = 100, .epoch = epoch, .metrics = {{name, value}, {"train.loss", 1.0}}}, request);
  return request;
}

/// The epoch, from 0, at which these values stop the run; -1 where they do not.
std::int64_t stops_at(EarlyStopping::Options options, const std::vector<double>& values) {
  EarlyStopping stopping(std::move(options));
  for (std::size_t i = 0; i < values.size(); ++i)
    if (show(stopping, static_cast<std::int64_t>(i), values[i]).stop) return static_cast<std::int64_t>(i);
  return -1;
}

TEST(EarlyStoppingTest, WaitsForItsPatienceAfterTheBest) {
  EXPECT_EQ(stops_at({.patience = 2}, {5, 4, 3, 3.5, 3.2, 1}), 4);
  EXPECT_EQ(stops_at({.patience = 2}, {5, 4, 4.5, 3, 3.5, 2}), -1);
  EXPECT_EQ(stops_at({.patience = 0}, {5, 4, 4.5}), 2);
  EXPECT_EQ(stops_at({.patience = 1}, {5, 4, 4.5}), 2);
}

TEST(EarlyStoppingTest, EqualIsNoProgressAndMinDeltaRaisesTheBar) {
  EXPECT_EQ(stops_at({.patience = 2}, {5, 5, 5}), 2);
  EXPECT_EQ(stops_at({.patience = 2, .min_delta = 0.5}, {5, 4.75, 4.5, 4.25}), 2);
  EXPECT_EQ(stops_at({.patience = 2, .min_delta = 0.5}, {5, 4.75, 4.25, 4.0}), -1);
}

TEST(EarlyStoppingTest, ModeFollowsTheNameUnlessGiven) {
  EarlyStopping accuracy({.monitor = "validation.accuracy", .patience = 1});
  EXPECT_FALSE(show(accuracy, 0, 0.5, "validation.accuracy").stop);
  EXPECT_FALSE(show(accuracy, 1, 0.6, "validation.accuracy").stop);
  EXPECT_TRUE(show(accuracy, 2, 0.55, "validation.accuracy").stop);
  EXPECT_EQ(stops_at({.patience = 1, .mode = Mode::most}, {1, 2, 3, 2}), 3);
}

TEST(EarlyStoppingTest, NotANumberIsNoProgress) {
  EXPECT_EQ(stops_at({.patience = 2}, {3, NAN, NAN}), 2);
  EXPECT_EQ(stops_at({.patience = 2}, {NAN, 3, 2, 1}), -1);
}

TEST(EarlyStoppingTest, SaysWhyAndAsksForTheBestWeights) {
  EarlyStopping stopping({.patience = 1, .restore_best = true});
  EXPECT_FALSE(show(stopping, 0, 3).restore_best);
  const LoopRequest request = show(stopping, 1, 4);
  EXPECT_TRUE(request.restore_best);
  EXPECT_EQ(request.reason, "early stopping: validation.loss was best in epoch 1 (3), not better for 1 epochs");
}

TEST(EarlyStoppingTest, TheLastEpochAsksForTheBestWeightsUnlessItIsTheBest) {
  for (const double last : {2.0, 4.0}) {
    EarlyStopping stopping({.patience = 5, .restore_best = true});
    show(stopping, 0, 3);
    LoopRequest request;
    stopping.on_epoch_end({.step = 100, .total_steps = 100, .epoch = 1, .metrics = {{"validation.loss", last}}}, request);
    EXPECT_FALSE(request.stop);
    EXPECT_EQ(request.restore_best, last > 3);
  }
}

TEST(EarlyStoppingTest, RemembersOverARestart) {
  EarlyStopping first({.patience = 2});
  show(first, 0, 3);
  show(first, 1, 4);
  const Snapshot saved([&](StateVisitor& visitor) { first.visit(visitor); });
  EarlyStopping second({.patience = 2});
  saved.restore([&](StateVisitor& visitor) { second.visit(visitor); }, "test");
  EXPECT_EQ(second.best(), 3);
  EXPECT_EQ(second.best_epoch(), 0);
  EXPECT_TRUE(show(second, 2, 5).stop);
}

TEST(EarlyStoppingTest, AResumedRunThatHadStoppedTakesNoStep) {
  EarlyStopping stopping({.patience = 1});
  const auto begins_stopped = [&] {
    LoopRequest request;
    stopping.on_run_begin(request);
    return request.stop;
  };
  EXPECT_FALSE(begins_stopped());
  show(stopping, 0, 3);
  EXPECT_FALSE(begins_stopped());
  EXPECT_TRUE(show(stopping, 1, 4).stop);
  EXPECT_TRUE(begins_stopped());
}

TEST(EarlyStoppingTest, AnUnknownMetricAndBadOptionsAreRunFileErrors) {
  EarlyStopping stopping({.monitor = "validation.lss"});
  try {
    show(stopping, 0, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    EXPECT_EQ(std::string(error.what()).rfind("early_stopping: no metric \"validation.lss\"; ", 0), 0u) << error.what();
    EXPECT_NE(std::string(error.what()).find("validation.loss"), std::string::npos);
  }
  EXPECT_THROW(EarlyStopping({.patience = -1}), Error);
  EXPECT_THROW(EarlyStopping({.min_delta = NAN}), Error);
}

}  // namespace
}  // namespace lockstep
