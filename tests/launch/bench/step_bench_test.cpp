#include "launch/bench/step_bench.h"

#include <cstring>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "distributed/self_communicator.h"
#include "launch/bench/step_report.h"
#include "launch/model_setup.h"
#include "launch/run_data.h"
#include "launch/run_file.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

constexpr const char* kRunFile = R"(
run = { seed = 3, lanes = 4, device = "cpu", precision = "f32" }
[data]
train = "nowhere.h5:/train"
input = { dataset = "x", shape = [4, 4, 1], dtype = "u8", scale = "unit" }
target = { dataset = "y", classes = 3 }
global_batch = 8
[train]
epochs = 1
loss = { cross_entropy = "target" }
optimizer = "sgd"
learning_rate = { peak = 0.1 }
schedule = { constant = true }
[model]
layers = [ { conv2d = 8, size = 3, padding = "same", bias = false }, "tanh", "global_average_pool", { dense = 3, bias = false } ]
)";

RunConfig config(const std::vector<std::string>& overrides = {}) {
  Value root = parse_run_text(kRunFile, "run.toml");
  for (const std::string& text : overrides) apply_override(root, text);
  return read_run_config(root, "run.toml");
}

const StepBenchSettings kShort{.warm_up = 0, .seconds = 0, .block_seconds = 1e-4, .rates = {.seconds = 0, .largest_copy = 65536, .product_size = 16}};

StepResults bench(const std::vector<std::string>& overrides = {}) {
  SelfCommunicator alone;
  return run_step_bench("tiny", config(overrides), kShort, alone);
}

const ProfileEntry& entry(const StepResults& results, std::string_view op) {
  for (const ProfileEntry& found : results.profile)
    if (found.op == op) return found;
  ADD_FAILURE() << "no entry " << op;
  return results.profile.front();
}

// A batch of 8: images [4, 4, 1], 8 filters [3, 3, 1], activations [4, 4, 8] and [8], weights [3, 8].
TEST(StepBenchTest, BytesAndOperationsAreThoseCountedByHand) {
  const StepResults results = bench();
  EXPECT_EQ(entry(results, "conv2d.forward").work.operations, 8 * 2 * 16 * 9 * 8);
  EXPECT_EQ(entry(results, "conv2d.backward_weights").work.operations, 8 * 2 * 16 * 9 * 8);
  EXPECT_EQ(entry(results, "conv2d.forward").work.bytes, 4 * (8 * 16 + 9 * 8 + 8 * 16 * 8));
  // One gradient of the weights for each of four lanes.
  EXPECT_EQ(entry(results, "conv2d.backward_weights").work.bytes, 4 * (8 * 16 + 8 * 16 * 8 + 4 * 9 * 8));
  for (const char* op : {"dense.forward", "dense.backward_data", "dense.backward_weights"}) EXPECT_EQ(entry(results, op).work.operations, 8 * 2 * 8 * 3) << op;
  EXPECT_EQ(entry(results, "dense.forward").work.bytes, 4 * (8 * 8 + 24 + 8 * 3));
  EXPECT_EQ(entry(results, "tanh.forward").work.operations, 0);
  EXPECT_EQ(entry(results, "tanh.forward").work.bytes, 4 * 2 * 8 * 16 * 8);
  double operations = 0;
  for (const ProfileEntry& found : results.profile) operations += found.work.operations;
  EXPECT_EQ(operations, 8 * (2 * 2 * 16 * 9 * 8 + 3 * 2 * 8 * 3)) << "the first layer has no gradient of its input";
}

// He et al. 2015 with the stride in the 3x3 convolution: 4.089 G multiply-adds forward; training has three products for each, but for the gradient of the stem's input.
TEST(StepBenchTest, ResNet50HasTheOperationsThatItIsKnownFor) {
  const RunConfig resnet = read_run_config(read_run_file(LOCKSTEP_SOURCE_DIR "/examples/resnet/resnet50.toml"), "resnet50.toml");
  const auto plan = compile_model(resnet, *declared_fields(resnet, Dtype::f32), Precision::f32);
  const auto operations = [](const PlanProgram& program) {
    double sum = 0;
    for (const Instruction& instruction : program.instructions) sum += static_cast<double>(instruction.operations);
    return sum;
  };
  EXPECT_NEAR(operations(plan->evaluation), 2 * 4.089e9, 1e6);
  EXPECT_NEAR(operations(plan->training), 24.30e9, 5e6);
}

TEST(StepBenchTest, ThreeBlocksAtLeastAndAProfileOfWholeSteps) {
  const StepResults results = bench();
  EXPECT_EQ(results.blocks.size(), 3u);
  for (const auto& block : results.blocks) EXPECT_GT(block.seconds, 0);
  EXPECT_GE(results.profile_steps, 1);
  EXPECT_LE(results.shortest_step(), results.median_step());
  EXPECT_LE(results.median_step(), results.longest_step());
  EXPECT_EQ(results.facts.parameters, 9 * 8 + 24);
  EXPECT_EQ(results.facts.fields, (std::vector<std::string>{"input [4, 4, 1] u8", "target [] i64"}));
  EXPECT_EQ(results.facts.recordings, 0) << "a processor records nothing";
}

TEST(StepBenchTest, TheDigestIsAFunctionOfTheRunFile) {
  const std::string digest = bench().facts.digest;
  EXPECT_EQ(bench().facts.digest, digest);
  EXPECT_EQ(bench({"run.threads=2"}).facts.digest, digest);
  EXPECT_NE(bench({"run.seed=4"}).facts.digest, digest);
  EXPECT_NE(bench({"data.global_batch=12"}).facts.digest, digest);
}

TEST(StepBenchTest, JsonHasEveryBlockTheFactsAndTheProfile) {
  const StepResults results = bench();
  const auto json = nlohmann::json::parse(step_json(results));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["kind"], "bench step");
  EXPECT_EQ(json["model"], "tiny");
  EXPECT_EQ(json["precision"], "f32");
  EXPECT_EQ(json["mode"], "exact");
  EXPECT_EQ(json["lanes"], 4);
  EXPECT_EQ(json["global_batch"], 8);
  EXPECT_EQ(json["digest"]["step"], 4);
  EXPECT_EQ(json["digest"]["value"], results.facts.digest);
  EXPECT_TRUE(json["memory"]["device_bytes"].is_null());
  ASSERT_EQ(json["blocks"].size(), results.blocks.size());
  EXPECT_EQ(json["blocks"][1]["steps"], results.blocks[1].steps);
  EXPECT_EQ(json["blocks"][1]["seconds"], results.blocks[1].seconds);
  EXPECT_EQ(json["step_seconds"]["median"], results.median_step());
  EXPECT_DOUBLE_EQ(json["samples_per_second"], 8 / results.median_step());
  EXPECT_EQ(json["rates"]["copies"][0]["bytes"], 65536);
  ASSERT_EQ(json["profile"]["entries"].size(), results.profile.size());
  const auto& first = json["profile"]["entries"][0];
  EXPECT_EQ(first["op"], results.profile[0].op);
  EXPECT_DOUBLE_EQ(first["seconds"], results.profile[0].seconds / static_cast<double>(results.profile_steps));
  EXPECT_EQ(first["roofline_seconds"], roofs_of(results).seconds(results.profile[0].work));
}

TEST(StepBenchTest, TextSaysStepSpeedMemoryAndTheRoofline) {
  const std::string text = step_text(bench());
  for (const char* part : {"tiny: 96 parameters, global batch 8 in 4 lanes of input [4, 4, 1] u8, target [] i64\n", "1 rank of 1 thread (self), cpu ", "exact mode, f32\n",
                           "the median of 3 blocks", " samples/s\n", "memory      activations ", "recordings  none", "after 4 steps, loss 1.", "conv2d.forward",
                           "\nroofline    ", " ms that it takes; copies ", "\nprofiled    "})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
}

TEST(StepBenchTest, ALossThatIsNoNumberEndsIt) {
  test::expect_error(ErrorKind::internal, "step 1: the ", [] { bench({"train.learning_rate.peak=1e30", "model.layers=[\"flatten\", { dense = 3, init = { constant = 1e38 } }]"}); });
}

TEST(StepBenchTest, ABatchSmallerThanTheLanesIsRefused) {
  test::expect_error(ErrorKind::run_file, "data.global_batch: expected at least run.lanes (4), since", [] { bench({"data.global_batch=3"}); });
}

TEST(NoiseDataTest, SamplesDifferAndLabelsAreInRange) {
  const RunData data = noise_data(config(), 2);
  EXPECT_EQ(data.train.samples(), 16);
  const DatasetField& images = data.train.field("input");
  EXPECT_NE(std::memcmp(images.row(0), images.row(1), images.sample.bytes()), 0);
  const auto* labels = data.train.field("target").values.as<std::int64_t>();
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(labels[i] >= 0 && labels[i] < 3);
  EXPECT_EQ(images.scaler.deviation, std::vector<double>{255.0});
}

}  // namespace
}  // namespace lockstep
