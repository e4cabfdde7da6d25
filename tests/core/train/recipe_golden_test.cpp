#include <gtest/gtest.h>

#include "core/model/model_builder.h"
#include "launch/run_file.h"
#include "tests/core/train/recipe_golden_numbers.h"

namespace lockstep {
namespace {

using test::Golden;
using test::largest_difference;
using test::SmallResult;
using test::SmallTraining;
using test::Tolerance;

void expect_equal_on_ranks(const Golden& golden, const SmallTraining& training, const Tolerance& most) {
  for (const int ranks : {1, 3}) {
    SCOPED_TRACE(ranks);
    const SmallResult exact = test::train_on(ranks, training);
    EXPECT_EQ(exact.tensors.size(), golden.tensors.size());
    test::expect_equal(golden, exact, most);
    SmallTraining fast = training;
    fast.mode = RunMode::fast;
    test::expect_equal(golden, test::train_on(ranks, fast), most);
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
  training.prepare = test::prepare;
  training.element = test::element<10>;
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
  training.prepare = test::prepare;
  training.element = test::element<10>;
  training.steps = 5;
  training.learning_rate = 0.02;
  training.optimizer = "{ adamw = true, weight_decay = 0.05, except = [\"bias\"] }";
  training.schedule = "{ cosine = 0.1 }";
  expect_equal_on_ranks(kAdamW, training, {.loss = 1e-6, .norm = 1e-6, .tensor = 1e-6, .output = 2e-6});
}

}  // namespace
}  // namespace lockstep
