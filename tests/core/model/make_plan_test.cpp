#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/base/registry.h"
#include "core/model/plan.h"
#include "tests/support/layer_case.h"

namespace lockstep {
namespace {

using test::make_from;

std::shared_ptr<const Layer> layer(const Value::Table& options) { return make_from<Layer>(options); }
std::shared_ptr<const Layer> layer(const char* name) { return make_from<Layer>(name); }

/// conv, batch norm, ReLU, then a residual with an identity shortcut, then a head and a loss.
Graph residual_graph() {
  Graph graph;
  int x = graph.input("input", {Shape{6, 6, 2}, Dtype::f32});
  const int target = graph.input("target", {Shape{}, Dtype::i64});
  const auto conv = [&](int from, const std::string& name) {
    return graph.add("conv2d", layer({{"conv2d", Value::integer(4)}, {"size", Value::integer(3)}, {"bias", Value::boolean(false)}}), name, {from});
  };
  x = graph.add("relu", layer("relu"), "relu", {graph.add("batch_norm", layer("batch_norm"), "norm", {conv(x, "stem")})});
  const int y = graph.add("batch_norm", layer("batch_norm"), "norm_2", {conv(x, "body")});
  const int sum = graph.add("add", layer("add"), "sum", {y, x});
  const int z = graph.add("relu", layer("relu"), "relu_2", {sum});
  const int flat = graph.add("flatten", layer("flatten"), "flat", {z});
  const int logits = graph.add("dense", layer({{"dense", Value::integer(3)}}), "head", {flat});
  graph.set_output(logits);
  graph.add_loss("cross_entropy", make_from<Loss>({{"cross_entropy", Value::text("target")}}), "loss", {logits, target});
  graph.add_metric("accuracy", make_from<Metric>("accuracy"), "accuracy", {logits, target});
  return graph;
}

Plan plan_of(Graph graph, PlanOptions options = {.global_batch = 8, .lanes = 4}) { return make_plan(std::move(graph), options); }

TEST(FuseTest, BatchNormTakesInAddAndRelu) {
  const Graph fused = fuse(residual_graph());
  std::vector<std::string> kinds;
  for (const GraphNode& node : fused.nodes()) kinds.push_back(node.kind);
  const std::vector<std::string> expected = {"conv2d", "batch_norm+relu", "conv2d", "batch_norm+add+relu", "flatten", "dense", "cross_entropy", "accuracy"};
  EXPECT_EQ(kinds, expected);
  EXPECT_EQ(fused.nodes()[3].name, "norm_2");
  EXPECT_EQ(fused.nodes()[3].inputs.size(), 2u);
}

TEST(FuseTest, AValueWithTwoConsumersIsNotFused) {
  Graph graph;
  const int x = graph.input("input", {Shape{4}, Dtype::f32});
  const int y = graph.add("batch_norm", layer("batch_norm"), "norm", {x});
  const int a = graph.add("relu", layer("relu"), "relu", {y});
  graph.set_output(graph.add("add", layer("add"), "sum", {a, y}));
  EXPECT_EQ(fuse(graph).nodes().size(), 3u);
}

/// A value with two consumers, the second of which (in backward order) is a convolution of this size.
Plan plan_of_a_shortcut_round(std::int64_t size) {
  Graph graph;
  const int x = graph.input("input", {Shape{6, 6, 2}, Dtype::f32});
  const int target = graph.input("target", {Shape{}, Dtype::i64});
  const auto conv = [&](int from, const std::string& name, std::int64_t extent) {
    return graph.add("conv2d", layer({{"conv2d", Value::integer(4)}, {"size", Value::integer(extent)}}), name, {from});
  };
  const int stem = conv(x, "stem", 3);
  const int sum = graph.add("add", layer("add"), "sum", {conv(stem, "body", size), stem});
  const int head = graph.add("dense", layer({{"dense", Value::integer(3)}}), "head", {graph.add("flatten", layer("flatten"), "flat", {sum})});
  graph.set_output(head);
  graph.add_loss("cross_entropy", make_from<Loss>({{"cross_entropy", Value::text("target")}}), "loss", {head, target});
  return plan_of(std::move(graph));
}

TEST(MakePlanTest, AConvolutionByPixelAddsItsGradientToWhatIsThereAndOthersPassByATemporary) {
  const auto ops = [](const Plan& plan) {
    std::multiset<std::string> result;
    for (const Instruction& instruction : plan.training.instructions) result.insert(instruction.op);
    return result;
  };
  EXPECT_EQ(ops(plan_of_a_shortcut_round(1)).count("gradient.add"), 0u);
  EXPECT_EQ(ops(plan_of_a_shortcut_round(3)).count("gradient.add"), 1u);
}

TEST(MakePlanTest, ParametersLieInBackwardOrder) {
  const Plan plan = plan_of(residual_graph());
  std::vector<std::string> names;
  for (const PlanParameter& parameter : plan.parameters) names.push_back(parameter.name);
  const std::vector<std::string> expected = {"head.weight",  "head.bias",   "norm_2.weight", "norm_2.bias",
                                             "body.weight", "norm.weight", "norm.bias",     "stem.weight"};
  EXPECT_EQ(names, expected);
  for (std::size_t p = 1; p < plan.parameters.size(); ++p) EXPECT_GT(plan.parameters[p].offset, plan.parameters[p - 1].offset);
  for (const PlanParameter& parameter : plan.parameters) EXPECT_EQ(parameter.offset % 16, 0);
}

TEST(MakePlanTest, BlocksTileEveryParameterAndCrossNone) {
  const Plan plan = plan_of(residual_graph(), {.global_batch = 8, .lanes = 4, .block_elements = 7});
  std::vector<std::int64_t> covered(plan.parameters.size(), 0);
  for (const Block& block : plan.blocks) {
    const PlanParameter& parameter = plan.parameters[static_cast<std::size_t>(block.parameter)];
    EXPECT_LE(block.elements, 7);
    EXPECT_EQ(block.offset, parameter.offset + covered[static_cast<std::size_t>(block.parameter)]);
    covered[static_cast<std::size_t>(block.parameter)] += block.elements;
  }
  for (std::size_t p = 0; p < covered.size(); ++p) EXPECT_EQ(covered[p], plan.parameters[p].spec.shape.elements());
}

TEST(MakePlanTest, BucketsCoverTheArenaAndWaitForTheirLastGradient) {
  const Plan plan = plan_of(residual_graph(), {.global_batch = 8, .lanes = 4, .bucket_bytes = 600});
  ASSERT_GT(plan.buckets.size(), 1u);
  std::int64_t end = 0;
  for (const Bucket& bucket : plan.buckets) {
    EXPECT_EQ(bucket.offset, end);
    end += bucket.elements;
  }
  EXPECT_EQ(end, plan.arena_elements);
  for (std::size_t s = 0; s < plan.training.segments.size(); ++s)
    for (int i = plan.training.segments[s].first; i < plan.training.segments[s].last; ++i)
      for (const PlanOperand& write : plan.training.instructions[static_cast<std::size_t>(i)].writes)
        if (write.role == PlanRole::gradient) {
          const auto bucket = static_cast<std::size_t>(plan.parameters[static_cast<std::size_t>(write.index)].bucket);
          EXPECT_GE(plan.training.bucket_ready[bucket], static_cast<int>(s));
        }
}

TEST(MakePlanTest, NoGradientOfTheInputIsComputed) {
  const Plan plan = plan_of(residual_graph());
  for (const PlanBuffer& buffer : plan.training.buffers) EXPECT_NE(buffer.name, "d input");
  int backward_data = 0;
  for (const Instruction& instruction : plan.training.instructions) backward_data += instruction.op == "conv2d.backward_data";
  EXPECT_EQ(backward_data, 1);
}

TEST(MakePlanTest, AShortcutAddsItsGradient) {
  const Plan plan = plan_of(residual_graph());
  // The value after the first ReLU is read by a convolution and by the shortcut: one gradient is written, one added.
  int added = 0;
  for (const Instruction& instruction : plan.training.instructions)
    for (const PlanOperand& write : instruction.writes)
      if (write.role == PlanRole::buffer && write.mode == WriteMode::accumulate) ++added;
  EXPECT_EQ(added, 1);
}

TEST(MakePlanTest, LossAndMetricTravelInOneCollective) {
  const Plan plan = plan_of(residual_graph());
  const PlanProgram& program = plan.evaluation;
  ASSERT_FALSE(program.segments.empty());
  const Segment& last = program.segments.back();
  EXPECT_EQ(last.kind, PhaseKind::reduce);
  EXPECT_EQ(last.last - last.first, 2);
}

TEST(MakePlanTest, BuffersThatLiveTogetherDoNotOverlap) {
  const Plan plan = plan_of(residual_graph());
  const PlanProgram& program = plan.training;
  const auto life = [&](std::size_t buffer, bool by_segment) {
    std::pair<int, int> result{1 << 30, -1};
    for (std::size_t s = 0; s < program.segments.size(); ++s)
      for (int i = program.segments[s].first; i < program.segments[s].last; ++i) {
        const Instruction& instruction = program.instructions[static_cast<std::size_t>(i)];
        for (const auto* operands : {&instruction.reads, &instruction.writes})
          for (const PlanOperand& operand : *operands)
            if (operand.role == PlanRole::buffer && operand.index == static_cast<int>(buffer)) {
              const int at = by_segment ? static_cast<int>(s) : i;
              result = {std::min(result.first, at), std::max(result.second, at)};
            }
      }
    return result;
  };
  int shared_memory = 0;
  for (std::size_t a = 0; a < program.buffers.size(); ++a)
    for (std::size_t b = a + 1; b < program.buffers.size(); ++b) {
      const PlanBuffer &x = program.buffers[a], &y = program.buffers[b];
      if (x.placement != y.placement || x.placement == Placement::slot) continue;
      const bool by_segment = x.placement == Placement::arena;
      const auto lx = life(a, by_segment), ly = life(b, by_segment);
      if (lx.second < 0 || ly.second < 0) continue;
      const bool overlap = x.offset < y.offset + static_cast<std::int64_t>(y.spec.bytes()) && y.offset < x.offset + static_cast<std::int64_t>(x.spec.bytes());
      const bool together = lx.first <= ly.second && ly.first <= lx.second;
      EXPECT_FALSE(overlap && together) << x.name << " and " << y.name;
      shared_memory += overlap;
    }
  EXPECT_GT(shared_memory, 0) << "nothing is reused";
}

TEST(MakePlanTest, ValuesInsideOneSegmentNeedOnlyScratch) {
  const Plan plan = plan_of(residual_graph());
  std::set<std::string> scratch;
  for (const PlanBuffer& buffer : plan.training.buffers)
    if (buffer.placement == Placement::scratch) scratch.insert(buffer.name);
  EXPECT_TRUE(scratch.contains("d body")) << "the gradient before a batch norm is used at once by the convolution";
  EXPECT_FALSE(scratch.contains("body")) << "a convolution's output waits for the statistics";
}

TEST(MakePlanTest, SharedWeightsAreOneParameterWithTwoUses) {
  Graph graph;
  const int x = graph.input("input", {Shape{4}, Dtype::f32});
  const int target = graph.input("target", {Shape{4}, Dtype::f32});
  const int a = graph.add("dense", layer({{"dense", Value::integer(4)}}), "first", {x});
  const int b = graph.add("dense", layer({{"dense", Value::integer(4)}}), "second", {a}, "first");
  graph.set_output(b);
  graph.add_loss("mean_squared_error", make_from<Loss>({{"mean_squared_error", Value::text("target")}}), "loss", {b, target});
  const Plan plan = plan_of(std::move(graph));
  ASSERT_EQ(plan.parameters.size(), 2u);
  EXPECT_EQ(plan.parameters[0].name, "first.weight");
  EXPECT_EQ(plan.parameters[0].uses, 2);
}

TEST(MakePlanTest, ImpossibleOptionsAreNamed) {
  const auto message = [](PlanOptions options) {
    try {
      make_plan(residual_graph(), options);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::run_file);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({.global_batch = 0, .lanes = 4}), "data.global_batch: expected at least 1, got 0");
  EXPECT_EQ(message({.global_batch = 8, .lanes = 0}), "run.lanes: expected at least 1, got 0");
}

TEST(DescribePlanTest, ListsInstructionsParametersAndCollectives) {
  const std::string text = describe_plan(plan_of(residual_graph()));
  for (const char* part : {"conv2d.forward", "batch_norm.normalize", "head.weight", "statistics: norm.", "gradients: bucket 0", "a sample for activations"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

}  // namespace
}  // namespace lockstep
