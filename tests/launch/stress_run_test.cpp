#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "distributed/thread_communicator.h"
#include "io/checkpoint_inspect.h"
#include "io/hdf5.h"
#include "launch/training_command.h"
#include "launch/training_run.h"
#include "tests/support/stress_layers.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::TemporaryDirectory;

constexpr const char* kRunFile = R"(
run        = { seed = 3, lanes = 8, precision = "f32" }
checkpoint = { every_steps = 2, keep = 9 }

[data]
train      = "numbers.h5:/train"
validation = "numbers.h5:/validation"
inputs     = [{ name = "input", dataset = "x" }, { name = "other", dataset = "z", scale = "standardize" }]
targets    = [{ name = "goal", dataset = "t" }]
global_batch = 11

[train]
epochs        = 4
loss          = { centred_squares = "goal" }
optimizer     = { sgd = "momentum" }
learning_rate = 0.01

[model]
layers = [
  { dense = 4, name = "first" },
  { stress_mix = 4, name = "mix", from = ["first", "other"] },
  { stress_mix = 4, name = "again", from = ["mix", "other"], share = "mix" },
  { dense = 4, name = "last" },
]
)";

void write_group(Hdf5File& file, const std::string& name, std::int64_t samples, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Hdf5Group group = file.root().create_group(name);
  for (const auto& [dataset, width] : {std::pair<const char*, std::int64_t>{"x", 5}, {"z", 4}, {"t", 4}}) {
    std::vector<float> values(static_cast<std::size_t>(samples * width));
    for (float& value : values) value = normal(random);
    group.create_dataset(dataset, Dtype::f32, Shape{samples, width}).write(values.data(), Dtype::f32);
  }
}

/// Layers that live in the tests alone, trained as a user would: from a run file and HDF5, with two inputs, a float
/// target, carried state, a shared weight and a loss with a reduce of its own.
class StressRunTest : public ::testing::Test {
 protected:
  StressRunTest() {
    use_stress_layers();
    Hdf5File file = Hdf5File::create(folder_ / "numbers.h5", Hdf5Format::v18);
    write_group(file, "train", 29, 1);
    write_group(file, "validation", 13, 2);
    file.close();
    std::ofstream(folder_ / "run.toml") << kRunFile;
  }

  /// On ranks that are threads; the report of rank 0.
  TrainingReport run(int ranks, const std::string& directory, std::vector<std::string> overrides, bool resume = false) {
    overrides.push_back("run.directory=\"" + folder_ / directory + "\"");
    const std::string path = resume ? folder_ / directory + "/run.toml" : folder_ / "run.toml";
    TrainingReport result;
    run_ranks(ranks, [&](Communicator& world) {
      std::ostringstream out;
      const TrainingRequest request{.config = load_run_config(path, overrides), .resume = resume, .progress = "off"};
      const TrainingReport report = run_training(request, world, out);
      if (world.rank() == 0) result = report;
    });
    return result;
  }

  TemporaryDirectory folder_;
};

TEST_F(StressRunTest, RankAndThreadCountChangeNothing) {
  const TrainingReport alone = run(1, "alone", {});
  EXPECT_EQ(alone.outcome, Outcome::finished);
  EXPECT_EQ(alone.step, 12);
  EXPECT_EQ(run(3, "three", {}).digest, alone.digest);
  EXPECT_EQ(run(2, "threads", {"run.threads=2"}).digest, alone.digest);
  EXPECT_NE(run(1, "seed", {"run.seed=4"}).digest, alone.digest);
}

TEST_F(StressRunTest, StoppedInMidEpochAndResumedGivesTheSameBits) {
  const TrainingReport straight = run(1, "straight", {});
  for (const int ranks : {1, 3}) {
    const std::string directory = "stopped" + std::to_string(ranks);
    const TrainingReport part = run(ranks, directory, {"train.steps=5"});
    EXPECT_EQ(part.outcome, Outcome::reached_steps);
    EXPECT_EQ(inspect_checkpoint(folder_ / directory + "/checkpoints/step-00000005.h5").digest, part.digest);
    const TrainingReport whole = run(2, directory, {"train.steps=12"}, true);
    EXPECT_EQ(whole.digest, straight.digest) << ranks << " ranks";
    EXPECT_EQ(whole.metrics, straight.metrics);
  }
}

TEST_F(StressRunTest, CarriedStateIsInTheCheckpoint) {
  run(2, "run", {"train.steps=5"});
  const CheckpointSummary summary = inspect_checkpoint(folder_ / "run" + "/checkpoints/step-00000005.h5");
  int carried = 0;
  for (const MemberSummary& member : summary.members) {
    if (member.name.find("carry") == std::string::npos) continue;
    ++carried;
    EXPECT_LT(member.minimum, 0.0) << member.name;
    EXPECT_GT(member.maximum, 0.0) << member.name;
  }
  EXPECT_EQ(carried, 2);
}

/// Evaluation must not move what training carries from batch to batch.
TEST_F(StressRunTest, EvaluationLeavesTheWeightsAlone) {
  const TrainingReport with = run(2, "with", {}), without = run(2, "without", {"data.validation=[]"});
  EXPECT_EQ(with.metrics.at("train.loss"), without.metrics.at("train.loss"));
  EXPECT_EQ(with.digest, without.digest);
  EXPECT_EQ(with.metrics.count("validation.loss"), 1u);
}

TEST_F(StressRunTest, TheLossFalls) {
  const double first = run(1, "short", {"train.epochs=1"}).metrics.at("train.loss");
  EXPECT_LT(run(1, "long", {"train.epochs=30"}).metrics.at("train.loss"), 0.9 * first);
}

}  // namespace
}  // namespace lockstep
