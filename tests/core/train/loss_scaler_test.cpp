#include "core/train/loss_scaler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {
namespace {

/// 1: the gradients of the step were finite.
constexpr std::string_view kSteps = "1110111111011101111111110000111";

using Rows = std::vector<std::pair<int, int>>;

/// log2 of the scale and good steps in a row, as PyTorch counts them.
Rows rows_of(const LossScaling& scaling) {
  Rows rows;
  LossScale now{.scale = scaling.initial};
  for (const char step : kSteps) {
    now = next(scaling, now, step == '1');
    rows.emplace_back(static_cast<int>(std::log2(now.scale)), static_cast<int>(std::max<std::int64_t>(now.streak, 0)));
  }
  return rows;
}

// tests/golden/loss_scale.py, PyTorch 2.15.0: torch.amp.GradScaler("cpu").
const Rows kFromTwoTo16 = {{16, 1}, {16, 2}, {16, 3}, {15, 0}, {15, 1}, {15, 2}, {15, 3}, {16, 0}, {16, 1}, {16, 2}, {15, 0},
                           {15, 1}, {15, 2}, {15, 3}, {14, 0}, {14, 1}, {14, 2}, {14, 3}, {15, 0}, {15, 1}, {15, 2}, {15, 3},
                           {16, 0}, {16, 1}, {15, 0}, {14, 0}, {13, 0}, {12, 0}, {12, 1}, {12, 2}, {12, 3}};
const Rows kAtTheEndOfF32 = {{126, 1}, {126, 2}, {127, 0}, {126, 0}, {126, 1}, {126, 2}, {127, 0}, {127, 1}, {127, 2}, {127, 0}, {126, 0},
                             {126, 1}, {126, 2}, {127, 0}, {126, 0}, {126, 1}, {126, 2}, {127, 0}, {127, 1}, {127, 2}, {127, 0}, {127, 1},
                             {127, 2}, {127, 0}, {126, 0}, {125, 0}, {124, 0}, {123, 0}, {123, 1}, {123, 2}, {124, 0}};

TEST(LossScalerTest, MovesAsPyTorchsGradScaler) {
  EXPECT_EQ(rows_of({.initial = 0x1p16, .growth_steps = 4}), kFromTwoTo16);
  EXPECT_EQ(rows_of({.initial = 0x1p126, .growth_steps = 3}), kAtTheEndOfF32);
  EXPECT_EQ(LossScaling::kInitial, 65536.0);
  EXPECT_EQ(LossScaling::kGrowthSteps, 2000);
}

TEST(LossScalerTest, AScaleBelowOneIsLostAfterThreeSkippedStepsInARow) {
  const LossScaling scaling{.initial = 2, .growth_steps = 100};
  LossScale now{.scale = 2};
  const auto step = [&](bool updated) { return is_lost(now = next(scaling, now, updated)); };
  EXPECT_FALSE(step(false));
  EXPECT_FALSE(step(false));
  EXPECT_EQ(now.scale, 0.5);
  EXPECT_FALSE(step(true));
  EXPECT_FALSE(step(false));
  EXPECT_FALSE(step(false));
  EXPECT_TRUE(step(false));
  EXPECT_EQ(now.streak, -3);
}

TEST(LossScalerTest, ALargeScaleMayFallForLong) {
  const LossScaling scaling{.initial = LossScaling::kInitial, .growth_steps = LossScaling::kGrowthSteps};
  LossScale now{.scale = scaling.initial};
  int steps = 0;
  while (!is_lost(now)) now = next(scaling, now, false), ++steps;
  EXPECT_EQ(steps, 17);
}

TEST(LossScalerTest, AStaticScaleIsNotDynamic) {
  EXPECT_FALSE((LossScaling{.initial = 1024}.dynamic()));
  EXPECT_TRUE((LossScaling{.initial = 1, .growth_steps = 1}.dynamic()));
}

}  // namespace
}  // namespace lockstep
