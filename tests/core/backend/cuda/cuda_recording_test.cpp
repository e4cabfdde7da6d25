#include <chrono>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/cuda_device.h"
#include "core/base/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/simt/fake_runtime.h"

namespace lockstep::cuda {
namespace {

using test::expect_error;

class CudaRecordingTest : public testing::Test {
 protected:
  CudaRecordingTest() {
    simt::reset();
    device = std::make_unique<CudaDevice>(0);
    main = device->stream(Queue::kMain);
    side = device->stream(Queue::kBranch);
    buffer = DeviceBuffer(*device, 4 * sizeof(int), "values");
    at = buffer.as<int>();
  }
  ~CudaRecordingTest() override {
    buffer = {};
    device.reset();
    EXPECT_EQ(simt::allocated(), 0u);
    simt::reset();
  }
  template <class Work>
  void queue(StreamView stream, Work work) {
    check(simt::enqueue(native(stream), work), "enqueue");
  }
  int value(int i) {
    int read = -1;
    device->copy(&read, at + i, sizeof read, main);
    device->wait(main);
    return read;
  }
  std::unique_ptr<CudaDevice> device;
  StreamView main, side;
  DeviceBuffer buffer;
  int* at = nullptr;
};

TEST_F(CudaRecordingTest, MarkersAreSetByTheQueueAndByEveryReplay) {
  const auto before = device->make_marker(), after = device->make_marker();
  const auto spin = [] {
    for (const auto start = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - start < std::chrono::milliseconds(2);) {
    }
  };
  const auto work = [&] {
    before->set(main);
    queue(main, spin);
    after->set(main);
  };
  work();
  device->wait(main);
  EXPECT_GE(after->seconds_since(*before), 2e-3);
  const auto recording = device->record(work);
  const auto start = device->make_marker();
  start->set(main);
  recording->replay();
  device->wait(main);
  EXPECT_GE(after->seconds_since(*before), 2e-3);
  EXPECT_GE(before->seconds_since(*start), 0);
}

TEST_F(CudaRecordingTest, NothingRunsUntilReplayed) {
  const auto recording = device->record([&] { queue(main, [at = at] { at[0] += 1; }); });
  EXPECT_EQ(value(0), 0);
  for (int i = 1; i <= 3; ++i) {
    recording->replay();
    EXPECT_EQ(value(0), i);
  }
}

TEST_F(CudaRecordingTest, WorkOfOtherQueuesIsPartOfIt) {
  const auto recording = device->record([&] {
    queue(main, [at = at] { at[0] += 1; });
    device->order(main, side);
    queue(side, [at = at] { at[1] = at[0] * 10; });
    device->order(side, main);
    queue(main, [at = at] { at[2] = at[1] + 1; });
  });
  device->wait(side);
  EXPECT_EQ(value(1), 0);
  for (int i = 1; i <= 20; ++i) {
    recording->replay();
    ASSERT_EQ(value(2), 10 * i + 1);
  }
}

TEST_F(CudaRecordingTest, WorkThatWasNotJoinedIsNotLost) {
  const auto recording = device->record([&] { queue(side, [at = at] { at[1] += 1; }); });
  device->wait(side);
  EXPECT_EQ(value(1), 0);
  recording->replay();
  EXPECT_EQ(value(1), 1);
}

TEST_F(CudaRecordingTest, TheHostsWorkHasItsPlace) {
  std::vector<int> seen;
  const StagingBuffer staging(*device, sizeof(int));
  const auto recording = device->record([&] {
    queue(main, [at = at] { at[0] += 1; });
    device->copy(staging.data(), at, sizeof(int), main);
    device->call_host([&] {
      seen.push_back(*staging.as<int>());
      *staging.as<int>() *= 100;
    });
    device->copy(at + 1, staging.data(), sizeof(int), main);
    queue(side, [at = at] { at[3] += 1; });
    device->call_host([&] { seen.push_back(-1); });
  });
  EXPECT_TRUE(seen.empty());
  recording->replay();
  recording->replay();
  EXPECT_EQ(value(1), 200);
  EXPECT_EQ(value(3), 2);
  EXPECT_EQ(seen, (std::vector<int>{1, -1, 2, -1}));
}

TEST_F(CudaRecordingTest, AnErrorInsideEndsTheRecording) {
  expect_error(ErrorKind::run_file, "no such thing", [&] {
    device->record([&] {
      queue(main, [at = at] { at[0] += 1; });
      device->order(main, side);
      fail(ErrorKind::run_file, "no such thing");
    });
  });
  queue(main, [at = at] { at[0] = 5; });
  EXPECT_EQ(value(0), 5);
  const auto recording = device->record([&] { queue(main, [at = at] { at[0] += 1; }); });
  recording->replay();
  EXPECT_EQ(value(0), 6);
}

TEST_F(CudaRecordingTest, TheFirstBadCallIsReported) {
  simt::fail_call({.call = "cudaMemsetAsync", .error = cudaErrorInvalidValue});
  expect_error(ErrorKind::io, "cuda: zero: invalid argument", [&] { device->record([&] { device->zero(at, 4, main); }); });
  // One that nobody looked at shows at the end.
  expect_error(ErrorKind::io, "cuda: the end of a recording: operation failed due to a previous error during capture",
               [&] { device->record([&] { cudaStreamSynchronize(native(main)); }); });
}

TEST_F(CudaRecordingTest, WhatCannotBeRecordedIsNamed) {
  int here = 0;
  const auto recorded = [&](const char* text, const std::function<void()>& work) {
    expect_error(ErrorKind::internal, text, [&] { device->record(work); });
  };
  recorded("cuda: a recording copies between the device and staging memory alone, got host memory",
           [&] { device->copy(&here, at, sizeof here, main); });
  recorded("cuda: memory for weights is asked for in a recording", [&] { device->allocate(4, "weights"); });
  recorded("cuda: staging memory is asked for in a recording", [&] { device->allocate_staging(4); });
  recorded("cuda: a recording waits for the device", [&] { device->wait(main); });
  recorded("cuda: a recording begins inside another one", [&] { device->record([] {}); });
  expect_error(ErrorKind::internal, "cuda: work of the host calls the host's work", [&] { device->call_host([&] { device->call_host([] {}); }); });
  const auto recording = device->record([] {});
  recorded("cuda: a recording is replayed while another one is made", [&] { recording->replay(); });
}

TEST_F(CudaRecordingTest, GraphsAreDestroyedOnce) {
  {
    const auto recording = device->record([&] {
      device->zero(at, 4, main);
      device->call_host([] {});
      device->zero(at, 4, main);
    });
    EXPECT_EQ(simt::calls("cudaGraphInstantiate"), 2);
    EXPECT_EQ(simt::calls("cudaGraphDestroy"), 2);
    EXPECT_EQ(simt::calls("cudaGraphExecDestroy"), 0);
  }
  EXPECT_EQ(simt::calls("cudaGraphExecDestroy"), 2);
  device->record([] {})->replay();
  EXPECT_EQ(simt::calls("cudaGraphInstantiate"), 2);  // nothing to do is no graph
}

}  // namespace
}  // namespace lockstep::cuda
