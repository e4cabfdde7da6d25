#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "launch/model_setup.h"
#include "launch/run_data.h"
#include "launch/shared_files.h"
#include "launch/training_command.h"

namespace lockstep {
namespace {

std::shared_ptr<const Plan> plan_of(const std::string& name) {
  const RunConfig config = load_run_config(name, {});
  return compile_model(config, declared_fields(config, Dtype::f32).value(), Precision::f32);
}

/// Shapes by name of a torchvision model: tests/golden/resnet_steps.py.
std::map<std::string, std::string> torchvision(const std::string& model) {
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/golden/torchvision_resnet_names.txt");
  std::map<std::string, std::string> result;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string one, name, shape;
    words >> one >> name >> std::ws;
    std::getline(words, shape);
    if (one == model) result[name] = shape;
  }
  return result;
}

std::map<std::string, std::string> ours(const Plan& plan) {
  std::map<std::string, std::string> result;
  for (const PlanParameter& parameter : plan.parameters) result[parameter.name] = parameter.spec.shape.text();
  for (const PlanState& state : plan.states) result[state.name] = state.spec.spec.shape.text();
  return result;
}

TEST(RecipesTest, AllAreRead) {
  for (const std::string& name : recipe_names()) EXPECT_NO_THROW(load_run_config(name, {})) << name;
}

TEST(RecipesTest, ResnetsHaveTorchvisionsNamesAndShapes) {
  const std::map<std::string, std::int64_t> parameters = {{"resnet18", 11689512}, {"resnet34", 21797672}, {"resnet50", 25557032}};
  for (const auto& [name, count] : parameters) {
    const auto plan = plan_of(name);
    EXPECT_EQ(plan->parameter_elements(), count) << name;
    EXPECT_GT(torchvision(name).size(), 100u) << name;
    EXPECT_EQ(ours(*plan), torchvision(name)) << name;
  }
}

TEST(RecipesTest, ResnetsBeginEachBlockAsItsShortcut) {
  const auto plan = plan_of("resnet50");
  ParameterStore store(plan, 1, {});
  for (const PlanParameter& p : plan->parameters) {
    if (!p.name.ends_with("bn3.weight") && !p.name.ends_with("bn2.weight")) continue;
    for (std::int64_t i = 0; i < p.spec.shape.elements(); ++i)
      ASSERT_EQ(store.parameters()[p.offset + i], p.name.ends_with("bn3.weight") ? 0.0f : 1.0f) << p.name;
  }
}

}  // namespace
}  // namespace lockstep
