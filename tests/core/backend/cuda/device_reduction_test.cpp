#include <functional>

#include <gtest/gtest.h>

#include "distributed/self_device_communicator.h"
#include "distributed/staged_device_communicator.h"
#include "distributed/thread_communicator.h"
#include "tests/distributed/device_checks.h"
#include "tests/support/cuda_backend.h"

/// The reducers of distributed/ over the CUDA device and its fold kernels, each rank with a device of its own.
namespace lockstep {
namespace {

void on_cuda(int ranks, const std::function<void(testing::DeviceRank&)>& check) {
  run_ranks(ranks, [&](Communicator& world) {
    const auto backend = test::make_cuda_backend();
    StagedDeviceCommunicator staged(backend->device(), world);
    testing::DeviceRank rank{*backend, staged};
    check(rank);
    if (ranks > 1) return;
    SelfDeviceCommunicator self(backend->device());
    testing::DeviceRank alone{*backend, self};
    check(alone);
  });
}

TEST(CudaReductionTest, StatisticsHaveTheBitsOfTheTree) {
  for (int ranks : {1, 2, 3, 4})
    on_cuda(ranks, [](testing::DeviceRank& rank) { testing::check_device_statistics(rank, 13, RunMode::exact); });
}

TEST(CudaReductionTest, GradientsHaveTheBitsOfTheTree) {
  for (int ranks : {1, 2, 3, 4})
    on_cuda(ranks, [](testing::DeviceRank& rank) {
      testing::check_device_gradients(rank, 13, 500, RunMode::exact, true);
      testing::check_device_gradients(rank, 16, 65, RunMode::exact, false);
    });
}

TEST(CudaReductionTest, FastReductionsAreEqualToRounding) {
  for (int ranks : {1, 3})
    on_cuda(ranks, [](testing::DeviceRank& rank) {
      testing::check_device_statistics(rank, 16, RunMode::fast);
      testing::check_device_gradients(rank, 13, 100, RunMode::fast, true);
    });
}

}  // namespace
}  // namespace lockstep
