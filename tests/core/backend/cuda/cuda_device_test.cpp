#include "core/backend/cuda/cuda_device.h"

#include <cstring>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/cuda/check.h"
#include "core/base/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/simt/fake_runtime.h"

namespace lockstep::cuda {
namespace {

using test::expect_error;

class CudaDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    simt::reset();
    device = std::make_unique<CudaDevice>(0);
    main = device->stream(Queue::kMain);
  }
  void TearDown() override {
    device.reset();
    EXPECT_EQ(simt::allocated(), 0u);
    EXPECT_EQ(simt::damage(), "");
    simt::reset();
  }
  /// Queues `*at = value`.
  void set(StreamView stream, int* at, int value) {
    check(simt::enqueue(native(stream), [=] { *at = value; }), "enqueue");
  }
  void add(StreamView stream, int* at, int value) {
    check(simt::enqueue(native(stream), [=] { *at += value; }), "enqueue");
  }
  int value_of(const int* at) {
    int read = -1;
    device->copy(&read, at, sizeof read, main);
    device->wait(main);
    return read;
  }
  std::unique_ptr<CudaDevice> device;
  StreamView main;
};

TEST_F(CudaDeviceTest, MemoryIsZeroed) {
  const DeviceBuffer buffer(*device, 4000, "activations");
  std::vector<std::byte> seen(4000, std::byte{7});
  device->copy(seen.data(), buffer.data(), 4000, main);
  device->wait(main);
  EXPECT_EQ(seen, std::vector<std::byte>(4000));
  const StagingBuffer staging(*device, 100);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(staging.data()[i], std::byte{0});
  EXPECT_EQ(device->allocate(0, "nothing"), nullptr);
}

TEST_F(CudaDeviceTest, TooLittleMemorySaysWhatForAndHowMuch) {
  simt::machine().memory = std::size_t{1} << 20;
  expect_error(ErrorKind::usage,
               "cuda: no memory for activations on simulated GPU: expected 2.0 MiB, got 1.0 MiB free of 1.0 MiB; start more ranks, or set a "
               "smaller data.global_batch",
               [&] { device->allocate(std::size_t{2} << 20, "activations"); });
  const DeviceBuffer works_again(*device, 1000, "weights");
  EXPECT_NE(works_again.data(), nullptr);
}

TEST_F(CudaDeviceTest, HostMemoryIsReadBeforeCopyReturns) {
  const std::size_t count = (std::size_t{9} << 20) / sizeof(int) + 3;  // three pieces, the last one odd
  std::vector<int> values(count);
  std::iota(values.begin(), values.end(), 1);
  const DeviceBuffer buffer(*device, count * sizeof(int), "values");
  device->copy(buffer.data(), values.data(), count * sizeof(int), main);
  std::fill(values.begin(), values.end(), -1);
  std::vector<int> back(count, -2);
  device->copy(back.data(), buffer.data(), count * sizeof(int), main);
  device->wait(main);
  std::vector<int> expected(count);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_TRUE(back == expected);
}

TEST_F(CudaDeviceTest, StagingMemoryIsReadWhenItsTurnComes) {
  const StagingBuffer staging(*device, sizeof(int));
  const DeviceBuffer buffer(*device, sizeof(int), "value");
  *staging.as<int>() = 1;
  device->copy(buffer.data(), staging.data(), sizeof(int), main);
  device->wait(main);
  *staging.as<int>() = 2;
  EXPECT_EQ(value_of(buffer.as<int>()), 1);
  const StagingBuffer other(*device, sizeof(int));
  device->copy(other.data(), buffer.data(), sizeof(int), main);
  device->wait(main);
  EXPECT_EQ(*other.as<int>(), 1);
  device->copy(other.data(), staging.data(), sizeof(int), main);  // between two places of the host
  EXPECT_EQ(*other.as<int>(), 2);
}

TEST_F(CudaDeviceTest, OrderHoldsBetweenQueues) {
  const DeviceBuffer buffer(*device, 2 * sizeof(int), "values");
  int* const at = buffer.as<int>();
  for (int round = 0; round < 50; ++round) {
    const StreamView copies = device->stream(Queue::kCopy);
    set(copies, at, round);
    device->order(copies, main);
    check(simt::enqueue(native(main), [=] { at[1] = at[0] + 1; }), "enqueue");
    device->order(main, copies);
    set(copies, at, -1);
    ASSERT_EQ(value_of(at + 1), round + 1);
    device->wait(copies);
  }
}

TEST_F(CudaDeviceTest, WaitingHearsTheWatch) {
  const DeviceBuffer buffer(*device, sizeof(int), "value");
  int asked = 0;
  device->watch([&] { ++asked; });
  for (int i = 0; i < 200; ++i) set(main, buffer.as<int>(), i);
  device->wait(main);
  EXPECT_GT(asked, 0);
  device->watch({});
  device->wait(main);
  EXPECT_EQ(simt::calls("cudaStreamSynchronize") + simt::calls("cudaDeviceSynchronize") + simt::calls("cudaEventSynchronize"), 0);
}

TEST_F(CudaDeviceTest, AWaitThatTheWatchEndsLeavesTheDeviceAlone) {
  int* at = nullptr;
  {
    const DeviceBuffer buffer(*device, sizeof(int), "value");
    at = buffer.as<int>();
    device->watch([] { fail(ErrorKind::io, "rank 3 is gone"); });
    for (int i = 0; i < 200; ++i) set(main, at, i);
    expect_error(ErrorKind::io, "rank 3 is gone", [&] { device->wait(main); });
  }
  device.reset();
  EXPECT_EQ(simt::calls("cudaFree") + simt::calls("cudaFreeHost") + simt::calls("cudaStreamDestroy"), 0);
  simt::reset();
  EXPECT_EQ(cudaFree(at), cudaSuccess);
}

TEST_F(CudaDeviceTest, AWaitHasAnEnd) {
  for (int i = 0; i < 1000; ++i) check(simt::enqueue(native(main), [] {}), "enqueue");
  device->longest_wait(std::chrono::milliseconds(0));
  expect_error(ErrorKind::io, "cuda: work on the device is not done after 0 s: a rank that its collectives wait for may be lost",
               [&] { device->wait(main); });
}

TEST_F(CudaDeviceTest, AFailureOfQueuedWorkIsAnErrorOfTheWait) {
  check(simt::enqueue(native(main), [] { throw std::runtime_error("bad thread"); }), "enqueue");
  expect_error(ErrorKind::io, "cuda: work on the device: unspecified launch failure: bad thread", [&] { device->wait(main); });
}

TEST_F(CudaDeviceTest, ALostGpuIsOneLine) {
  const DeviceBuffer buffer(*device, sizeof(int), "value");
  simt::fail_call({.call = "cudaEventQuery", .error = cudaErrorLaunchFailure, .for_good = true});
  set(main, buffer.as<int>(), 1);
  expect_error(ErrorKind::io, "cuda: work on the device: unspecified launch failure", [&] { device->wait(main); });
  expect_error(ErrorKind::io, "cuda: zero: unspecified launch failure", [&] { device->zero(buffer.data(), sizeof(int), main); });
  simt::reset();
}

}  // namespace
}  // namespace lockstep::cuda
