// Whole steps through the backend's own host code: memory, queues, recording, step block, folds, collectives through the
// host. In the build without a GPU the library kernels are lent by the CPU's engine.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/cuda_backend.h"
#include "tests/support/layer_case.h"
#include "tests/support/small_training.h"

namespace lockstep {
namespace {

using test::SmallResult;
using test::SmallTraining;
using test::train_on;

class CudaTrainingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = test::no_cuda_backend(); !why.empty()) GTEST_SKIP() << why;
  }
};

SmallTraining on_cuda(SmallTraining training) {
  training.backend = [](int) { return test::make_cuda_backend(); };
  return training;
}

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 0, apart = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    apart = std::max(apart, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
  }
  EXPECT_LE(apart, tolerance * largest) << what;
}

/// The CPU's training and the GPU's: the same formulas, sums in another order.
void expect_the_cpus(const SmallTraining& training, double tolerance, int ranks = 1) {
  const SmallResult cpu = train_on(1, training), cuda = train_on(ranks, on_cuda(training));
  ASSERT_EQ(cuda.losses.size(), cpu.losses.size());
  for (std::size_t i = 0; i < cpu.losses.size(); ++i) {
    EXPECT_NEAR(cuda.losses[i], cpu.losses[i], tolerance * std::abs(cpu.losses[i])) << "step " << i;
    EXPECT_NEAR(cuda.gradient_norms[i], cpu.gradient_norms[i], 10 * tolerance * cpu.gradient_norms[i]) << "step " << i;
  }
  for (const auto& [name, values] : cpu.tensors) expect_near(cuda.tensors.at(name), values, 10 * tolerance, name);
  for (const auto& [name, value] : cpu.metrics) EXPECT_NEAR(cuda.metrics.at(name), value, 0.05) << name;
}

TEST_F(CudaTrainingTest, StepsAreTheCpus) { expect_the_cpus({.graph = test::small_residual_network}, 1e-5); }

TEST_F(CudaTrainingTest, StepsAreTheCpusInBf16) {
  expect_the_cpus({.graph = test::small_residual_network, .precision = Precision::bf16}, 2e-2);
}

TEST_F(CudaTrainingTest, StepsAreTheCpusInFastMode) {
  expect_the_cpus({.graph = test::small_residual_network, .mode = RunMode::fast}, 1e-5);
}

TEST_F(CudaTrainingTest, ClippingAndAdamWAreTheCpus) {
  for (const char* clip : {"{ global_norm = 0.5 }", "{ norm = 0.1 }", "{ value = 0.01 }"})
    expect_the_cpus({.graph = test::small_residual_network, .optimizer = "{ adamw = true, weight_decay = 0.1, except = [\"norm\", \"bias\"] }", .clip = clip}, 1e-4);
}

TEST_F(CudaTrainingTest, ExactGivesTheSameBitsOnAnyRanks) {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const SmallTraining training = on_cuda({.graph = test::small_residual_network, .precision = precision});
    const SmallResult alone = train_on(1, training);
    for (const int ranks : {2, 3, 4, 8}) {
      const SmallResult together = train_on(ranks, training);
      EXPECT_EQ(together.digest, alone.digest) << ranks << " ranks";
      EXPECT_EQ(together.losses, alone.losses) << ranks << " ranks";
      EXPECT_EQ(together.metrics, alone.metrics) << ranks << " ranks";
    }
  }
}

TEST_F(CudaTrainingTest, EmptyLanesAndShortBatchesChangeNothing) {
  const SmallTraining training = on_cuda({.graph = test::small_residual_network, .global_batch = 9, .lanes = 11, .samples = 20, .steps = 7});
  EXPECT_EQ(train_on(3, training).digest, train_on(1, training).digest);
}

/// The same steps, each queued afresh, give the bits of the recorded ones.
TEST_F(CudaTrainingTest, AReplayGivesTheBitsOfQueuedWork) {
  SmallTraining training = on_cuda({.graph = test::small_residual_network, .steps = 9});
  const SmallResult recorded = train_on(2, training);
  EXPECT_GE(recorded.recordings, 3);
  training.record = false;
  const SmallResult queued = train_on(2, training);
  EXPECT_EQ(queued.recordings, 0);
  EXPECT_EQ(queued.digest, recorded.digest);
}

}  // namespace
}  // namespace lockstep
