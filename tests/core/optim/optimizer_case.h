#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/backend/engine_ops.h"
#include "core/train/optimizer.h"
#include "tests/support/cuda_backend.h"
#include "tests/support/error_text.h"
#include "tests/support/layer_case.h"
#include "tests/support/op_case.h"

namespace lockstep::test {

/// Runs an optimizer's kernel on a few weights, with the arguments that a training step gives it.
class OptimizerCase {
 public:
  explicit OptimizerCase(std::unique_ptr<Optimizer> optimizer, double clip_value = 0.0, std::vector<float> start = {0.5f, -1.25f, 2.0f, 0.0f},
                         Backend& backend = cpu_backend())
      : weights(std::move(start)), slots(optimizer->slots().size(), std::vector<float>(weights.size(), 0.0f)), backend_(backend) {
    const TensorSpec element{Shape{}, Dtype::f32};
    spec_ = {.op = optimizer->op(), .layer = "optimizer", .kind = PhaseKind::once, .attributes = optimizer->attributes()};
    spec_.reads = {{Role::parameter_gradient, element}, {Role::statistic, element}, {Role::statistic, element}};
    spec_.writes.assign(1 + slots.size(), {Role::parameter, element});
    spec_.attributes.set("weight_decay", optimizer->weight_decay());
    spec_.attributes.set("clip_value", clip_value);
  }

  void update(const std::vector<float>& gradients, const StepBlock& step) {
    update_blocks(gradients, step, {{0, static_cast<std::int64_t>(weights.size()), 0}});
  }
  /// `scales` by parameter; the step's where there are none.
  void update_blocks(const std::vector<float>& gradients, const StepBlock& step, const std::vector<Block>& blocks, const std::vector<float>& scales = {}) {
    OpCase c(backend_, spec_);
    c.step = step;
    c.read(gradients), c.read(blocks);
    if (scales.empty())
      c.read_null();
    else
      c.read(scales);
    c.write(weights);
    for (const auto& slot : slots) c.write(slot);
    c.run({.rows = static_cast<std::int64_t>(blocks.size())});
    weights = c.written<float>(0);
    for (std::size_t s = 0; s < slots.size(); ++s) slots[s] = c.written<float>(1 + s);
  }

  std::vector<float> weights;
  std::vector<std::vector<float>> slots;

 private:
  Backend& backend_;
  OpSpec spec_;
};

/// The gradient of step `step` (from 0) in tests/golden/optimizers.py.
inline std::vector<float> golden_gradient(int step, std::size_t count = 4) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = (static_cast<float>((i * 7 + static_cast<std::size_t>(step) * 3) % 11) - 5) / 8;
  return values;
}

inline StepBlock golden_step(int step) {
  constexpr float kRates[] = {0.1f, 0.05f, 0.2f, 0.025f, 0.1f}, kMomenta[] = {0.9f, 0.8f, 0.95f, 0.85f, 0.9f};
  return {.step = step, .updates = step + 1, .learning_rate = kRates[step], .momentum = kMomenta[step]};
}

/// The five steps of tests/golden/optimizers.py.
inline void compare_optimizer(std::unique_ptr<Optimizer> optimizer, const std::vector<double>& expected, double tolerance = 5e-7) {
  OptimizerCase c(std::move(optimizer));
  for (int step = 0; step < 5; ++step) c.update(golden_gradient(step), golden_step(step));
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(static_cast<double>(c.weights[i]), expected[i], tolerance) << i;
}

/// What every optimizer's kernel must do with the step's arguments; `make` gives the optimizer afresh.
template <class Make>
void check_optimizer(const Make& make, Backend& backend = cpu_backend()) {
  const auto fresh = [&](double clip_value = 0.0, std::vector<float> start = {0.5f, -1.25f, 2.0f, 0.0f}) {
    return OptimizerCase(make(), clip_value, std::move(start), backend);
  };
  const std::vector<float> gradient = golden_gradient(1);
  OptimizerCase skipped = fresh();
  const auto start = skipped.weights;
  StepBlock overflowed = golden_step(0);
  overflowed.finite = 0;
  skipped.update(gradient, overflowed);
  EXPECT_EQ(skipped.weights, start) << "an update that is not finite is skipped";
  for (const auto& slot : skipped.slots) EXPECT_EQ(slot, std::vector<float>(4, 0.0f));

  OptimizerCase scaled = fresh(), plain = fresh();
  StepBlock quarter = golden_step(0);
  quarter.gradient_scale = 0.25f;
  std::vector<float> four_times = gradient;
  for (float& g : four_times) g *= 4;
  scaled.update(four_times, quarter);
  plain.update(gradient, golden_step(0));
  EXPECT_EQ(scaled.weights, plain.weights) << "the gradient is scaled first";

  OptimizerCase clipped = fresh(0.25), by_hand = fresh();
  StepBlock half = golden_step(0);
  half.gradient_scale = 0.5f;
  clipped.update({0.75f, -3.0f, 0.25f, -0.5f}, half);
  by_hand.update({0.25f, -0.25f, 0.125f, -0.25f}, golden_step(0));
  EXPECT_EQ(clipped.weights, by_hand.weights) << "then each element is clamped";

  const std::vector<float> many(101, 0.75f);
  OptimizerCase whole = fresh(0.0, many), parts = fresh(0.0, many);
  for (int step = 0; step < 3; ++step) {
    const auto long_gradient = golden_gradient(step, 101);
    whole.update(long_gradient, golden_step(step));
    parts.update_blocks(long_gradient, golden_step(step), {{40, 61, 0}});
    parts.update_blocks(long_gradient, golden_step(step), {{0, 1, 1}, {1, 39, 0}});
  }
  EXPECT_EQ(whole.weights, parts.weights) << "bits do not depend on the blocks";

  OptimizerCase by_tensor = fresh(), first_half = fresh(), second_half = fresh();
  const std::vector<Block> halves = {{0, 2, 1}, {2, 2, 0}};
  by_tensor.update_blocks(gradient, golden_step(0), halves, {0.25f, 0.5f});
  first_half.update(gradient, half);
  second_half.update(gradient, quarter);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(by_tensor.weights[i], (i < 2 ? first_half : second_half).weights[i]) << "each tensor has a scale of its own";
}

}  // namespace lockstep::test
