#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/backend/engine_ops.h"
#include "tests/support/engine_op_checks.h"
#include "tests/support/error_text.h"
#include "tests/support/op_case.h"
#include "tests/support/random_values.h"

namespace lockstep::test {
namespace {

const TensorSpec kFloat{Shape{}, Dtype::f32}, kDouble{Shape{}, Dtype::f64};

/// What a decision is taken on, and what came of it.
struct Decision {
  std::vector<double> squares;
  std::vector<Block> blocks;
  std::vector<std::vector<double>> losses = {{3.0, 4.0}};
  std::int64_t fault = 0;
  std::string scope = "none";
  double bound = 0;
  StepBlock step{.seed = 5, .step = 6, .loss_scale = 1};

  void take(Backend& backend) {
    OpSpec spec{.op = "step.decide", .layer = "test", .kind = PhaseKind::once};
    spec.reads.assign(2 + losses.size() + 1, {Role::statistic, kDouble});
    spec.writes.assign(3, {Role::statistic, kDouble});
    spec.attributes = {{"losses", static_cast<std::int64_t>(losses.size())}, {"scope", scope}, {"bound", bound}, {"parameters", std::int64_t{3}}};
    OpCase c(backend, spec);
    c.read(squares), c.read(blocks);
    for (const auto& loss : losses) c.read(loss);
    if (fault)
      c.read(std::vector<std::int64_t>{fault});
    else
      c.read_null();
    c.write(std::vector<StepBlock>{step});
    c.write(std::vector<StepOutcome>(1));
    if (scope == "tensor")
      c.write(std::vector<float>(3, 9.0f));
    else
      c.write_null();
    c.run({.rows = static_cast<std::int64_t>(blocks.size())});
    step = c.written<StepBlock>(0)[0];
    outcome = c.written<StepOutcome>(1)[0];
    if (scope == "tensor") scales = c.written<float>(2);
  }
  StepOutcome outcome;
  std::vector<float> scales;
};

/// One block a parameter unless said otherwise; squares of a gradient that is [3, 4] over two parameters.
Decision three_four() { return {.squares = {9.0, 16.0}, .blocks = {{0, 1, 0}, {16, 1, 1}}}; }

}  // namespace

void check_squares(Backend& backend) {
  OpSpec spec{.op = "step.squares", .layer = "test", .kind = PhaseKind::once};
  spec.reads.assign(2, {Role::parameter_gradient, kFloat});
  spec.writes = {{Role::statistic, kDouble}};
  const std::vector<Block> blocks = {{0, 1, 0}, {16, 7, 0}, {32, 3001, 1}, {3040, 0, 2}, {3041, 66, 2}, {3056, 1024, 3}};
  const auto gradients = random_values<float>(4080);
  OpCase whole(backend, spec);
  whole.read(gradients), whole.read(blocks);
  whole.write(std::vector<double>(blocks.size(), -1.0));
  whole.run({.rows = static_cast<std::int64_t>(blocks.size())});
  const auto squares = whole.written<double>(0);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    long double expected = 0;
    for (std::int64_t i = 0; i < blocks[b].elements; ++i)
      expected += static_cast<long double>(gradients[static_cast<std::size_t>(blocks[b].offset + i)]) * static_cast<long double>(gradients[static_cast<std::size_t>(blocks[b].offset + i)]);
    EXPECT_NEAR(squares[b], static_cast<double>(expected), 1e-14 * static_cast<double>(expected)) << "block " << b;

    OpCase alone(backend, spec);
    alone.read(gradients), alone.read(std::vector<Block>{blocks[b]});
    alone.write(std::vector<double>{-1.0});
    alone.run({.rows = 1});
    EXPECT_EQ(alone.written<double>(0)[0], squares[b]) << "a block's bits do not depend on the others";
  }

  std::vector<float> large(16, 0.0f);
  large[3] = std::numeric_limits<float>::max(), large[5] = std::numeric_limits<float>::infinity();
  OpCase c(backend, spec);
  c.read(large), c.read(std::vector<Block>{{0, 5, 0}, {5, 11, 0}});
  c.write(std::vector<double>(2));
  c.run({.rows = 2});
  EXPECT_EQ(c.written<double>(0)[0], static_cast<double>(large[3]) * static_cast<double>(large[3])) << "no overflow";
  EXPECT_EQ(c.written<double>(0)[1], std::numeric_limits<double>::infinity());
}

void check_decision(Backend& backend) {
  Decision plain = three_four();
  plain.losses = {{3.0, 4.0}, {1.5, 4.0}};
  plain.take(backend);
  EXPECT_EQ(plain.outcome.gradient_norm, 5.0);
  EXPECT_EQ(plain.outcome.loss_sum, 4.5);
  EXPECT_EQ(plain.outcome.weight_sum, 4.0);
  EXPECT_EQ(plain.outcome.finite, 1);
  EXPECT_EQ(plain.outcome.fault, 0);
  EXPECT_EQ(plain.step.gradient_scale, 1.0f);
  EXPECT_EQ(plain.step.finite, 1);
  EXPECT_EQ(plain.step.seed, 5u) << "the rest of the step stays";
  EXPECT_EQ(plain.step.step, 6);

  // clip_grad_norm_ of PyTorch 2.15.0 multiplies by min(1, max / (norm + 1e-6)): [3, 4] at most 1 becomes 0.59999990, 0.79999983.
  Decision global = three_four();
  global.scope = "global", global.bound = 1.0;
  global.take(backend);
  EXPECT_FLOAT_EQ(3.0f * global.step.gradient_scale, 0.59999990f);
  EXPECT_FLOAT_EQ(4.0f * global.step.gradient_scale, 0.79999983f);
  Decision short_enough = three_four();
  short_enough.scope = "global", short_enough.bound = 6.0;
  short_enough.take(backend);
  EXPECT_EQ(short_enough.step.gradient_scale, 1.0f);

  Decision scaled = three_four();
  scaled.squares = {9.0 * 64 * 64, 16.0 * 64 * 64}, scaled.step.loss_scale = 64, scaled.scope = "global", scaled.bound = 1.0;
  scaled.take(backend);
  EXPECT_EQ(scaled.outcome.gradient_norm, 5.0) << "of the unscaled gradient";
  EXPECT_EQ(scaled.step.gradient_scale, global.step.gradient_scale / 64);

  Decision element = three_four();
  element.scope = "element", element.bound = 1.0;
  element.take(backend);
  EXPECT_EQ(element.step.gradient_scale, 1.0f);

  Decision tensor;
  tensor.squares = {0.25, 16.0, 9.0, 36.0, 64.0}, tensor.blocks = {{0, 1, 2}, {16, 1, 0}, {32, 1, 0}, {48, 1, 1}, {64, 1, 1}};
  tensor.scope = "tensor", tensor.bound = 2.0, tensor.step.loss_scale = 0.5f;
  tensor.take(backend);
  EXPECT_EQ(tensor.scales, (std::vector<float>{static_cast<float>(2.0 / (10.0 + 1e-6) / 0.5), static_cast<float>(2.0 / (20.0 + 1e-6) / 0.5), 2.0f}));
  EXPECT_EQ(tensor.step.gradient_scale, 2.0f);

  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {infinity, nan}) {
    Decision gradient = three_four();
    gradient.squares[1] = bad;
    gradient.take(backend);
    EXPECT_EQ(gradient.step.finite, 0) << "a gradient of " << std::sqrt(bad);
    EXPECT_EQ(gradient.outcome.finite, 0);
    Decision loss = three_four();
    loss.losses = {{1.0, 4.0}, {-bad, 4.0}};
    loss.take(backend);
    EXPECT_EQ(loss.step.finite, 0) << "a loss of " << -bad;
    EXPECT_EQ(loss.outcome.finite, 0);
  }
  Decision fault = three_four();
  fault.fault = 12;
  fault.take(backend);
  EXPECT_EQ(fault.outcome.fault, 12);
  EXPECT_EQ(fault.step.finite, 0) << "bad content is not learned from";
  EXPECT_EQ(fault.outcome.finite, 0);

  // Many blocks are added in order.
  Decision many;
  double total = 0;
  for (const double value : random_values<double>(1300)) {
    many.squares.push_back(value * value + 1e-9);
    many.blocks.push_back({static_cast<std::int64_t>(many.blocks.size()) * 16, 16, static_cast<int>(many.blocks.size() / 500)});
    total += many.squares.back();
  }
  many.scope = "tensor", many.bound = 0.5;
  many.take(backend);
  EXPECT_EQ(many.outcome.gradient_norm, std::sqrt(total));
  for (std::size_t p = 0; p < 3; ++p) {
    double sum = 0;
    for (std::size_t b = 500 * p; b < std::min<std::size_t>(1300, 500 * (p + 1)); ++b) sum += many.squares[b];
    EXPECT_EQ(many.scales[p], static_cast<float>(0.5 / (std::sqrt(sum) + 1e-6)));
  }

  Decision nothing;
  nothing.losses = {{0.0, 0.0}};
  nothing.take(backend);
  EXPECT_EQ(nothing.outcome.gradient_norm, 0.0);
  EXPECT_EQ(nothing.step.finite, 1);

  Decision wrong = three_four();
  wrong.scope = "layer";
  EXPECT_EQ(error_text([&] { wrong.take(backend); }), "step.decide: unknown scope \"layer\"; known: none, global, tensor, element");
}

}  // namespace lockstep::test
