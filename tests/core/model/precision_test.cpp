#include "core/model/precision.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/model/plan.h"
#include "tests/support/small_training.h"

namespace lockstep {
namespace {

constexpr Precision kAll[] = {Precision::f32, Precision::tf32, Precision::bf16, Precision::f16};

TEST(PrecisionTest, NamesGoBothWays) {
  for (const Precision precision : kAll) EXPECT_EQ(precision_from_name(name_of(precision)), precision);
  try {
    precision_from_name("f8");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    EXPECT_STREQ(error.what(), "unknown precision \"f8\"; known: f32, tf32, bf16, f16");
  }
}

TEST(PrecisionTest, ActivationsAreWhatTheyAreKeptIn) {
  EXPECT_EQ(activation_dtype(Precision::f32), Dtype::f32);
  EXPECT_EQ(activation_dtype(Precision::tf32), Dtype::f32);
  EXPECT_EQ(activation_dtype(Precision::bf16), Dtype::bf16);
  EXPECT_EQ(activation_dtype(Precision::f16), Dtype::f16);
  for (const Precision precision : kAll) EXPECT_TRUE(is_activation(activation_dtype(precision)));
  for (const Dtype dtype : {Dtype::f64, Dtype::u8, Dtype::i32, Dtype::i64}) EXPECT_FALSE(is_activation(dtype));
}

/// Every layer, loss and metric of the network is described and planned in every precision.
Plan plan_in(Precision precision) {
  return make_plan(test::small_residual_network(activation_dtype(precision)), {.precision = precision, .global_batch = 12, .lanes = 4});
}

TEST(PrecisionTest, Tf32MarksConvolutionsAndDenseLayersAlone) {
  for (const Precision precision : kAll) {
    const Plan plan = plan_in(precision);
    int marked = 0;
    for (const PlanProgram* program : {&plan.training, &plan.evaluation})
      for (const Instruction& instruction : program->instructions) {
        if (instruction.kind == PhaseKind::reduce || instruction.node < 0) continue;
        const OpSpec spec = op_spec(plan, *program, instruction);
        const bool product = spec.op.starts_with("conv2d.") || spec.op.starts_with("dense.");
        EXPECT_EQ(spec.attributes.has("tf32"), product && precision == Precision::tf32) << spec.op;
        if (!spec.attributes.has("tf32")) continue;
        EXPECT_EQ(spec.attributes.integer("tf32"), 1);
        ++marked;
      }
    EXPECT_EQ(marked > 5, precision == Precision::tf32) << marked;
  }
}

TEST(PrecisionTest, F16NetworksKeepTheirActivationsInF16) {
  const Plan plan = plan_in(Precision::f16);
  int halves = 0;
  for (const PlanBuffer& buffer : plan.training.buffers) {
    EXPECT_TRUE(buffer.spec.dtype != Dtype::f32 && buffer.spec.dtype != Dtype::bf16) << buffer.name;
    halves += buffer.spec.dtype == Dtype::f16 ? 1 : 0;
  }
  EXPECT_GT(halves, 10);
}

TEST(PrecisionTest, ThePlanSaysWhatItComputesIn) {
  EXPECT_NE(describe_plan(plan_in(Precision::f16)).find("activations in f16\n"), std::string::npos);
  EXPECT_NE(describe_plan(plan_in(Precision::tf32)).find("activations in f32, products in tf32\n"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
