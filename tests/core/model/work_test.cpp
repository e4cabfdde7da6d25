#include "core/model/work.h"

#include <gtest/gtest.h>

#include "tests/support/layer_case.h"

namespace lockstep {
namespace {

/// A convolution [6, 6, 2] -> [6, 6, 4] of 3x3 without bias, ReLU, and a dense layer to 3.
Plan small_plan(Precision precision) {
  const Dtype dtype = activation_dtype(precision);
  Graph graph;
  const int x = graph.input("input", {Shape{6, 6, 2}, dtype});
  const int target = graph.input("target", {Shape{}, Dtype::i64});
  const int conv = graph.add("conv2d", test::make_from<Layer>({{"conv2d", Value::integer(4)}, {"size", Value::integer(3)}, {"bias", Value::boolean(false)}}), "conv", {x});
  const int relu = graph.add("relu", test::make_from<Layer>("relu"), "relu", {conv});
  const int flat = graph.add("flatten", test::make_from<Layer>("flatten"), "flat", {relu});
  const int head = graph.add("dense", test::make_from<Layer>({{"dense", Value::integer(3)}}), "head", {flat});
  graph.set_output(head);
  graph.add_loss("cross_entropy", test::make_from<Loss>({{"cross_entropy", Value::text("target")}}), "loss", {head, target});
  return make_plan(std::move(graph), {.precision = precision, .global_batch = 8, .lanes = 4});
}

Work work_of_op(const Plan& plan, const std::string& op, std::int64_t rows, std::int64_t units) {
  Work work;
  for (const Instruction& instruction : plan.training.instructions)
    if (instruction.op == op) work += work_of(plan, plan.training, instruction, rows, units);
  return work;
}

constexpr double kTaps = 9 * 2, kImage = 6 * 6;

TEST(WorkTest, AConvolutionReadsInputAndWeightsAndWritesItsOutput) {
  for (const auto& [precision, size] : {std::pair{Precision::f32, 4.0}, {Precision::bf16, 2.0}}) {
    const Work work = work_of_op(small_plan(precision), "conv2d.forward", 8, 4);
    EXPECT_EQ(work.bytes, size * (8 * kImage * 2 + 4 * kTaps + 8 * kImage * 4));
    EXPECT_EQ(work.operations, 2 * 8 * kImage * 4 * kTaps);
  }
}

TEST(WorkTest, WeightGradientsAreWrittenOncePerUnitInF32) {
  const Plan plan = small_plan(Precision::bf16);
  const Work lanes = work_of_op(plan, "conv2d.backward_weights", 8, 4), whole = work_of_op(plan, "conv2d.backward_weights", 8, 1);
  EXPECT_EQ(lanes.bytes - whole.bytes, 3 * 4 * (4 * kTaps));
  EXPECT_EQ(lanes.operations, whole.operations);
}

TEST(WorkTest, AStemGivesNoDataGradientAndDenseCountsItsProducts) {
  const Plan plan = small_plan(Precision::f32);
  EXPECT_EQ(work_of_op(plan, "conv2d.backward_data", 8, 4).operations, 0);
  for (const char* op : {"dense.forward", "dense.backward_data", "dense.backward_weights"})
    EXPECT_EQ(work_of_op(plan, op, 8, 4).operations, 2 * 8 * (kImage * 4) * 3) << op;
  EXPECT_EQ(work_of_op(plan, "relu.forward", 8, 4).operations, 0);
  EXPECT_EQ(work_of_op(plan, "relu.forward", 8, 4).bytes, 2 * 8 * kImage * 4 * 4);
}

}  // namespace
}  // namespace lockstep
