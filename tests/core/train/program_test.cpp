#include "core/train/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/layer_case.h"
#include "tests/support/small_training.h"
#include "tests/support/stress_layers.h"

namespace lockstep {
namespace {

using test::SmallTraining;
using test::train_on;

/// stress_mix twice with one weight, between dense layers, under a loss that needs a mean over the whole batch.
Graph stress_graph(Dtype) {
  use_stress_layers();
  Graph graph;
  const int x = graph.input("input", {Shape{5}, Dtype::f32});
  const int z = graph.input("other", {Shape{4}, Dtype::f32});
  const int target = graph.input("target", {Shape{4}, Dtype::f32});
  const auto mix = [] { return test::make_from<Layer>({{"stress_mix", Value::integer(4)}}); };
  const int a = graph.add("dense", test::make_from<Layer>({{"dense", Value::integer(4)}}), "first", {x});
  const int b = graph.add("stress_mix", mix(), "mix", {a, z});
  const int c = graph.add("stress_mix", mix(), "again", {b, a}, "mix");
  const int d = graph.add("dense", test::make_from<Layer>({{"dense", Value::integer(4)}}), "last", {c});
  graph.set_output(d);
  graph.add_loss("centred_squares", test::make_from<Loss>({{"centred_squares", Value::text("target")}}), "loss", {d, target});
  return graph;
}

void expect_same_bits_everywhere(const SmallTraining& base) {
  const auto alone = train_on(1, base);
  for (const double loss : alone.losses) EXPECT_TRUE(std::isfinite(loss));
  for (const int ranks : {1, 2, 3, 4, 5, 8})
    for (const int threads : {1, 2, 3}) {
      SmallTraining other = base;
      other.threads = threads;
      const auto result = train_on(ranks, other);
      EXPECT_EQ(result.digest, alone.digest) << ranks << " ranks of " << threads << " threads";
      EXPECT_EQ(result.losses, alone.losses) << ranks << " ranks of " << threads << " threads";
      EXPECT_EQ(result.metrics, alone.metrics) << ranks << " ranks of " << threads << " threads";
    }
}

TEST(ProgramTest, ExactGivesTheSameBitsOnAnyRanksAndThreads) { expect_same_bits_everywhere({.graph = test::small_residual_network}); }

TEST(ProgramTest, ExactHoldsInBf16) { expect_same_bits_everywhere({.graph = test::small_residual_network, .precision = Precision::bf16}); }

TEST(ProgramTest, ExactHoldsForALaneOfOneSampleAndEmptyLanes) {
  expect_same_bits_everywhere({.graph = test::small_residual_network, .global_batch = 9, .lanes = 11, .samples = 20});
}

TEST(ProgramTest, ExactHoldsWithCarriedStateSharedWeightsAndALossWithItsOwnReduce) {
  expect_same_bits_everywhere({.graph = stress_graph, .learning_rate = 0.01});
}

/// Lane by lane through all instructions, or instruction by instruction through all lanes: the same sums in the same order.
TEST(ProgramTest, TheOrderOfWorkChangesNoBit) {
  for (const auto& graph : {std::function<Graph(Dtype)>(test::small_residual_network), std::function<Graph(Dtype)>(stress_graph)})
    for (const Precision precision : {Precision::f32, Precision::bf16})
      for (const int ranks : {1, 2, 3, 8}) {
        SmallTraining training{.graph = graph, .precision = precision, .learning_rate = 0.01};
        const auto by_lane = train_on(1, training);
        training.backend = test::cpu_by_instruction;
        const auto by_instruction = train_on(ranks, training);
        EXPECT_EQ(by_instruction.digest, by_lane.digest) << ranks << " ranks";
        EXPECT_EQ(by_instruction.losses, by_lane.losses) << ranks << " ranks";
        EXPECT_EQ(by_instruction.metrics, by_lane.metrics) << ranks << " ranks";
      }
}

TEST(ProgramTest, FastAgreesByInstruction) {
  SmallTraining training{.graph = test::small_residual_network};
  const auto expected = train_on(1, training);
  training.mode = RunMode::fast;
  training.backend = test::cpu_by_instruction;
  const auto result = train_on(2, training);
  for (std::size_t i = 0; i < expected.losses.size(); ++i) EXPECT_NEAR(result.losses[i], expected.losses[i], 1e-4);
  for (std::size_t i = 0; i < expected.parameters.size(); ++i) ASSERT_NEAR(result.parameters[i], expected.parameters[i], 2e-4);
}

/// A power of two moves exponents alone: what unscales it must lose nothing, and nothing may join the gradients unscaled.
TEST(ProgramTest, AStaticLossScaleChangesNoBit) {
  for (const auto& graph : {std::function<Graph(Dtype)>(test::small_residual_network), std::function<Graph(Dtype)>(stress_graph)})
    for (const char* clip : {"", "{ global_norm = 0.5 }", "{ norm = 0.1 }", "{ value = 0.01 }"}) {
      SmallTraining training{.graph = graph, .learning_rate = 0.01, .clip = clip};
      const auto plain = train_on(1, training);
      training.loss_scaling.initial = 1024;
      const auto scaled = train_on(2, training);
      EXPECT_EQ(scaled.digest, plain.digest) << clip;
      EXPECT_EQ(scaled.gradient_norms, plain.gradient_norms) << clip;
      EXPECT_EQ(scaled.losses, plain.losses) << clip;
    }
}

/// Inputs and targets of several units give gradients that a scale near the end of f32 makes infinite.
SmallTraining overflowing(int steps) {
  return {.graph = stress_graph, .steps = steps, .learning_rate = 1e-6, .loss_scaling = {.initial = 0x1p126, .growth_steps = 3},
          .element = [](const BatchField& field, std::int64_t sample, std::int64_t i) {
            return field.spec.dtype == Dtype::i64 ? static_cast<double>(sample % 3) : static_cast<double>((sample * 7 + i * 3) % 11) - 4.5;
          }};
}

TEST(ProgramTest, AStepWhoseGradientsOverflowUpdatesNothing) {
  const auto before = train_on(1, overflowing(0)), after = train_on(1, overflowing(2));
  EXPECT_EQ(after.updated, std::vector<bool>(2, false));
  EXPECT_EQ(after.loss_scales, (std::vector<double>{0x1p126, 0x1p125}));
  EXPECT_EQ(after.parameters, before.parameters);
  for (const double loss : after.losses) EXPECT_TRUE(std::isfinite(loss));
  for (const double norm : after.gradient_norms) EXPECT_FALSE(std::isfinite(norm));
}

TEST(ProgramTest, SkippedStepsAreTheSameOnAnyRanksAndInAnyOrder) {
  const auto alone = train_on(1, overflowing(40));
  EXPECT_GT(std::count(alone.updated.begin(), alone.updated.end(), true), 10);
  EXPECT_GT(std::count(alone.updated.begin(), alone.updated.end(), false), 5);
  for (const int ranks : {1, 2, 3}) {
    SmallTraining other = overflowing(40);
    other.backend = test::cpu_by_instruction;
    for (const auto& result : {train_on(ranks, other), train_on(ranks, overflowing(40))}) {
      EXPECT_EQ(result.digest, alone.digest) << ranks;
      EXPECT_EQ(result.updated, alone.updated) << ranks;
      EXPECT_EQ(result.loss_scales, alone.loss_scales) << ranks;
    }
  }
}

TEST(ProgramTest, FastAgreesToRounding) {
  for (const auto& graph : {std::function<Graph(Dtype)>(test::small_residual_network), std::function<Graph(Dtype)>(stress_graph)}) {
    const SmallTraining exact{.graph = graph, .learning_rate = 0.01};
    const auto expected = train_on(1, exact);
    for (const int ranks : {1, 2, 3})
      for (const int threads : {1, 2}) {
        SmallTraining fast = exact;
        fast.mode = RunMode::fast;
        fast.threads = threads;
        const auto result = train_on(ranks, fast);
        for (std::size_t i = 0; i < expected.losses.size(); ++i) EXPECT_NEAR(result.losses[i], expected.losses[i], 1e-4) << ranks << " ranks";
        for (std::size_t i = 0; i < expected.parameters.size(); ++i) ASSERT_NEAR(result.parameters[i], expected.parameters[i], 2e-4);
      }
  }
}

/// Along a random direction v the loss must rise by <gradient, v>: through the whole program, masks and statistics included.
TEST(ProgramTest, GradientsAreThoseOfTheLoss) {
  for (const auto& graph : {std::function<Graph(Dtype)>(test::small_residual_network), std::function<Graph(Dtype)>(stress_graph)}) {
    SmallTraining training{.graph = graph, .steps = 1, .learning_rate = 0.0};
    const auto base = train_on(2, training);
    const auto direction = [](std::size_t i) { return static_cast<float>((i * 2654435761u) % 1000) / 500.0f - 1.0f; };
    double slope = 0;
    for (std::size_t i = 0; i < base.gradients.size(); ++i) slope += static_cast<double>(base.gradients[i]) * direction(i);
    ASSERT_GT(std::abs(slope), 1e-2);
    const auto loss_at = [&](float distance) {
      training.prepare = [&](ParameterStore& store) {
        for (std::int64_t i = 0; i < store.plan().arena_elements; ++i) store.parameters()[i] += distance * direction(static_cast<std::size_t>(i));
      };
      return train_on(1, training).losses[0];
    };
    constexpr float kDistance = 5e-4f;
    EXPECT_NEAR((loss_at(kDistance) - loss_at(-kDistance)) / (2 * kDistance), slope, 0.02 * std::abs(slope));
  }
}

TEST(ProgramTest, TheLossFalls) {
  const auto result = train_on(2, {.graph = test::small_residual_network, .global_batch = 30, .steps = 60, .learning_rate = 0.1});
  EXPECT_LT(result.losses.back(), 0.8 * result.losses.front());
}

}  // namespace
}  // namespace lockstep
