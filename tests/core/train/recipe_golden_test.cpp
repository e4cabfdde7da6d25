#include <gtest/gtest.h>

#include <cmath>

#include "core/base/math.h"
#include "core/model/model_builder.h"
#include "launch/run_file.h"
#include "tests/core/train/recipe_golden_numbers.h"
#include "tests/support/small_training.h"

namespace lockstep {
namespace {

using test::SmallResult;
using test::SmallTraining;

// Weights and samples as tests/golden/recipe_steps.py makes them: a hash of tensor name and place.

/// The finalizer of MurmurHash3.
std::uint32_t hash32(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}

/// FNV-1a.
std::uint32_t name_key(const std::string& name) {
  std::uint32_t key = 2166136261u;
  for (const char c : name) key = (key ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return key;
}

std::uint32_t word(const std::string& name, std::int64_t i) { return hash32(hash32(static_cast<std::uint32_t>(i)) ^ name_key(name)); }
double uniform(const std::string& name, std::int64_t i) { return static_cast<double>(word(name, i) >> 8) / (1 << 23) - 1.0; }

double start_value(const std::string& name, const Shape& shape, std::int64_t i) {
  const double u = uniform(name, i);
  if (shape.rank() > 1) return u * std::sqrt(6.0 / static_cast<double>(shape.elements() / shape[0]));
  const bool near_one = name.ends_with("running_var") || (name.ends_with("weight") && name.find("norm") != std::string::npos);
  return near_one ? 1.0 + 0.25 * u : 0.25 * u;
}

void prepare(ParameterStore& store) {
  const Plan& plan = store.plan();
  for (const PlanParameter& p : plan.parameters)
    for (std::int64_t i = 0; i < p.spec.shape.elements(); ++i)
      store.parameters()[p.offset + i] = static_cast<float>(start_value(p.name, p.spec.shape, i));
  for (std::size_t s = 0; s < plan.states.size(); ++s)
    for (std::int64_t i = 0; i < store.states()[s].spec().elements(); ++i)
      store.states()[s].as<float>()[i] = static_cast<float>(start_value(plan.states[s].name, plan.states[s].spec.spec.shape, i));
}

double element(const BatchField& field, std::int64_t sample, std::int64_t i) {
  if (field.spec.dtype == Dtype::i64) return word(field.name, sample) % 10;
  return uniform(field.name, sample * field.spec.elements() + i);
}

struct Tolerance {
  double loss, norm, tensor, output;
};

double largest_difference(const std::vector<double>& expected, const auto& actual) {
  EXPECT_GE(actual.size(), expected.size());
  double most = 0;
  for (std::size_t i = 0; i < std::min(expected.size(), actual.size()); ++i)
    most = std::max(most, std::abs(expected[i] - static_cast<double>(actual[i])));
  return most;
}

void expect_equal(const Golden& golden, const SmallResult& result, const Tolerance& most) {
  ASSERT_EQ(result.losses.size(), golden.losses.size());
  EXPECT_LT(largest_difference(golden.losses, result.losses), most.loss);
  EXPECT_LT(largest_difference(golden.norms, result.gradient_norms), most.norm);
  std::vector<float> outputs;
  for (std::int64_t sample = 0; sample < 4; ++sample)
    outputs.insert(outputs.end(), result.outputs.at(sample).begin(), result.outputs.at(sample).end());
  EXPECT_LT(largest_difference(golden.outputs, outputs), most.output);
  ASSERT_EQ(result.tensors.size(), golden.tensors.size());
  for (const auto& [name, expected] : golden.tensors) {
    const auto& values = result.tensors.at(name);
    double weighted = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      weighted += static_cast<double>(values[i]) * uniform("direction", static_cast<std::int64_t>(i));
    const std::vector<double> actual = {values[name_key(name) % values.size()], weighted / static_cast<double>(values.size())};
    EXPECT_LT(largest_difference(expected, actual), most.tensor) << name;
  }
}

void expect_equal_on_ranks(const Golden& golden, const SmallTraining& training, const Tolerance& most) {
  for (const int ranks : {1, 3}) {
    SCOPED_TRACE(ranks);
    expect_equal(golden, test::train_on(ranks, training), most);
    SmallTraining fast = training;
    fast.mode = RunMode::fast;
    expect_equal(golden, test::train_on(ranks, fast), most);
  }
}

/// The network of examples/fashion_mnist.
SmallTraining recipe(bool frozen) {
  SmallTraining training;
  training.graph = [frozen](Dtype dtype) {
    Value root = read_run_file(LOCKSTEP_SOURCE_DIR "/examples/fashion_mnist/run.toml");
    if (frozen) apply_override(root, "model.defaults.batch_norm={ frozen = true }");
    Graph graph = build_model(*root.find("model"), {{"input", {{28, 28, 1}, dtype}}, {"target", {{}, Dtype::i64}}});
    add_training_heads(graph, *parse_run_text("loss = { cross_entropy = \"target\", label_smoothing = 0.1 }", "loss").find("loss"), {});
    return graph;
  };
  training.global_batch = 40;  // sixteen lanes of three: the last ones are empty, and the third batch has twenty samples
  training.lanes = 16;
  training.samples = 100;
  training.threads = 2;
  training.learning_rate = 0.02;
  training.prepare = prepare;
  training.element = element;
  training.optimizer = "{ sgd = \"nesterov\", weight_decay = 5e-4, except = [\"norm\", \"bias\"] }";
  training.schedule = "{ one_cycle = 0.3, divide = 25, momentum = [0.95, 0.85] }";
  training.clip = "{ global_norm = 1.0 }";
  return training;
}

TEST(RecipeGoldenTest, TenStepsOfTheRecipeAreThoseOfPyTorch) {
  SmallTraining training = recipe(false);
  training.steps = 10;
  expect_equal_on_ranks(kRecipe, training, {.loss = 1e-5, .norm = 1e-4, .tensor = 1e-5, .output = 1e-4});
}

TEST(RecipeGoldenTest, InBf16TheLossesStayNear) {
  SmallTraining training = recipe(false);
  training.steps = 10;
  training.precision = Precision::bf16;
  const SmallResult result = test::train_on(3, training);
  EXPECT_LT(largest_difference(kRecipe.losses, result.losses), 1e-2);
  EXPECT_LT(largest_difference(kRecipe.norms, result.gradient_norms), 5e-2);
}

TEST(RecipeGoldenTest, AStepWithFrozenBatchNormIsThatOfPyTorch) {
  SmallTraining training = recipe(true);
  training.steps = 1;
  training.schedule = "\"constant\"";
  expect_equal_on_ranks(kFrozen, training, {.loss = 1e-5, .norm = 1e-4, .tensor = 1e-5, .output = 1e-4});
}

TEST(RecipeGoldenTest, FiveStepsOfAdamWAreThoseOfPyTorch) {
  SmallTraining training;
  training.graph = [](Dtype dtype) {
    const Value root = parse_run_text(
        "loss = \"mean_squared_error\"\n[model]\nlayers = [{ dense = 16, name = \"hidden\" }, \"tanh\", { dropout = 0.0 }, { dense = 3, "
        "name = \"head\" }]",
        "run.toml");
    Graph graph = build_model(*root.find("model"), {{"input", {{6}, dtype}}, {"target", {{3}, Dtype::f32}}});
    add_training_heads(graph, *root.find("loss"), {});
    return graph;
  };
  training.global_batch = 40;
  training.lanes = 16;
  training.samples = 100;
  training.threads = 2;
  training.prepare = prepare;
  training.element = element;
  training.steps = 5;
  training.learning_rate = 0.02;
  training.optimizer = "{ adamw = true, weight_decay = 0.05, except = [\"bias\"] }";
  training.schedule = "{ cosine = 0.1 }";
  expect_equal_on_ranks(kAdamW, training, {.loss = 1e-6, .norm = 1e-6, .tensor = 1e-6, .output = 2e-6});
}

}  // namespace
}  // namespace lockstep
