#include <gtest/gtest.h>

#include "core/model/model_builder.h"
#include "launch/run_file.h"
#include "tests/core/train/resnet_golden_numbers.h"

namespace lockstep {
namespace {

using test::SmallTraining;

/// A recipe of examples/resnet on images of 64 x 64, as tests/golden/resnet_steps.py trains torchvision's model of that name.
SmallTraining recipe(const std::string& name, const std::string& last_norm, int steps) {
  SmallTraining training;
  training.graph = [name](Dtype dtype) {
    const Value root = read_run_file(LOCKSTEP_SOURCE_DIR "/examples/resnet/" + name + ".toml");
    Graph graph = build_model(*root.find("model"), {{"input", {{64, 64, 3}, dtype}}, {"target", {{}, Dtype::i64}}});
    add_training_heads(graph, *root.find("train")->find("loss"), {});
    return graph;
  };
  training.global_batch = 8;
  training.lanes = 4;
  training.samples = 20;
  training.steps = steps;
  training.threads = 2;
  training.learning_rate = 0.001;
  training.prepare = [last_norm](ParameterStore& store) {
    test::prepare(store);
    for (const PlanParameter& p : store.plan().parameters)
      for (std::int64_t i = 0; i < p.spec.shape.elements() && p.name.ends_with(last_norm); ++i) store.parameters()[p.offset + i] /= 4;
  };
  training.element = test::element<1000>;
  training.optimizer = "{ sgd = \"nesterov\", weight_decay = 1e-4, except = [\"norm\", \"bias\"] }";
  return training;
}

TEST(ResnetGoldenTest, StepsOfResnet18AreThoseOfTorchvision) {
  const test::SmallResult result = test::train_on(2, recipe("resnet18", "bn2.weight", 3));
  EXPECT_EQ(result.tensors.size(), kResnet18.tensors.size());
  test::expect_equal(kResnet18, result, {.loss = 2e-5, .norm = 5e-3, .tensor = 2e-5, .output = 2e-4});
}

TEST(ResnetGoldenTest, StepsOfResnet50AreThoseOfTorchvision) {
  test::expect_equal(kResnet50, test::train_on(1, recipe("resnet50", "bn3.weight", 2)), {.loss = 2e-4, .norm = 5e-2, .tensor = 2e-4, .output = 5e-3});
}

}  // namespace
}  // namespace lockstep
