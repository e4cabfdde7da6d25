// Training in f16 and tf32, and loss scales, through the backend's own host code; see training_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/cuda_backend.h"
#include "tests/support/small_training.h"

namespace lockstep {
namespace {

using test::SmallResult;
using test::SmallTraining;
using test::train_on;

class CudaPrecisionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = test::no_cuda_backend(); !why.empty()) GTEST_SKIP() << why;
  }
};

SmallTraining on_cuda(Precision precision, const LossScaling& scaling) {
  return {.graph = test::small_residual_network, .steps = 12, .precision = precision, .loss_scaling = scaling,
          .backend = [](int) { return test::make_cuda_backend(); }};
}

void expect_losses_of_the_cpu(const SmallResult& result, const SmallTraining& training, double tolerance) {
  SmallTraining cpu = training;
  cpu.precision = Precision::f32;
  cpu.loss_scaling = {};
  cpu.backend = nullptr;
  const SmallResult expected = train_on(1, cpu);
  for (std::size_t i = 0; i < expected.losses.size(); ++i) {
    EXPECT_NEAR(result.losses[i], expected.losses[i], tolerance * expected.losses[i]) << "step " << i;
    EXPECT_NEAR(result.gradient_norms[i], expected.gradient_norms[i], 20 * tolerance * expected.gradient_norms[i]) << "step " << i;
  }
}

TEST_F(CudaPrecisionTest, F16WithALossScaleLearnsAsF32) {
  const SmallTraining training = on_cuda(Precision::f16, {.initial = 1024, .growth_steps = 2000});
  const SmallResult result = train_on(1, training);
  EXPECT_EQ(std::count(result.updated.begin(), result.updated.end(), false), 0);
  expect_losses_of_the_cpu(result, training, 1e-2);
  for (const int ranks : {2, 3}) EXPECT_EQ(train_on(ranks, training).digest, result.digest) << ranks << " ranks";
}

TEST_F(CudaPrecisionTest, Tf32LearnsAsF32) {
  const SmallTraining training = on_cuda(Precision::tf32, {});
  expect_losses_of_the_cpu(train_on(1, training), training, 5e-3);
}

/// Gradients of activations beyond 65504 are infinite in f16. The recorded step is the same; the step block alone changes.
TEST_F(CudaPrecisionTest, AScaleThatOverflowsF16IsHalvedUntilItDoesNot) {
  const SmallTraining training = on_cuda(Precision::f16, {.initial = 0x1p22, .growth_steps = 2000});
  const SmallResult result = train_on(1, training);
  const auto first = std::find(result.updated.begin(), result.updated.end(), true);
  EXPECT_GT(first - result.updated.begin(), 1);
  EXPECT_LT(first - result.updated.begin(), 11);
  EXPECT_EQ(result.loss_scales.at(1), 0x1p21);
  for (const double loss : result.losses) EXPECT_TRUE(std::isfinite(loss));
  const SmallResult together = train_on(2, training);
  EXPECT_EQ(together.digest, result.digest);
  EXPECT_EQ(together.updated, result.updated);
}

TEST_F(CudaPrecisionTest, ASkippedStepUpdatesNothing) {
  SmallTraining training = on_cuda(Precision::f16, {.initial = 0x1p60, .growth_steps = 2000});
  training.steps = 0;
  const SmallResult before = train_on(1, training);
  training.steps = 4;
  const SmallResult after = train_on(1, training);
  EXPECT_EQ(after.updated, std::vector<bool>(4, false));
  EXPECT_EQ(after.parameters, before.parameters);
}

}  // namespace
}  // namespace lockstep
