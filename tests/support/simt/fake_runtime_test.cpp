#include "tests/support/simt/fake_runtime.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/support/simt/random.h"

namespace lockstep::simt {
namespace {

class FakeRuntimeTest : public testing::Test {
 protected:
  void SetUp() override {
    for (cudaStream_t& s : streams) ASSERT_EQ(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&other, cudaEventDisableTiming), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&memory), 4 * sizeof(int)), cudaSuccess);
    ASSERT_EQ(cudaMemset(memory, 0, 4 * sizeof(int)), cudaSuccess);
  }
  void TearDown() override {
    reset();
    for (cudaStream_t s : streams) cudaStreamDestroy(s);
    cudaEventDestroy(event);
    cudaEventDestroy(other);
    cudaFree(memory);
    EXPECT_EQ(allocated(), 0u);
    reset();
  }
  int value(int i = 0) {
    int read = -1;
    EXPECT_EQ(cudaMemcpy(&read, memory + i, sizeof read, cudaMemcpyDeviceToHost), cudaSuccess);
    return read;
  }
  void set(cudaStream_t stream, int i, int to) {
    EXPECT_EQ(enqueue(stream, [=, this] { memory[i] = to; }), cudaSuccess);
  }
  void copy(cudaStream_t stream, int from, int to) {
    EXPECT_EQ(enqueue(stream, [=, this] { memory[to] = memory[from]; }), cudaSuccess);
  }
  void order(cudaStream_t before, cudaStream_t after) {
    EXPECT_EQ(cudaEventRecord(event, before), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(after, event, 0), cudaSuccess);
  }
  cudaStream_t streams[3] = {};
  cudaStream_t &a = streams[0], &b = streams[1], &c = streams[2];
  cudaEvent_t event = nullptr, other = nullptr;
  int* memory = nullptr;
};

TEST_F(FakeRuntimeTest, StreamsAreLazyAndInOrder) {
  set(a, 0, 1);
  set(a, 0, 2);
  EXPECT_EQ(value(), 0);
  EXPECT_EQ(cudaStreamSynchronize(a), cudaSuccess);
  EXPECT_EQ(value(), 2);
  set(a, 0, 3);
  int polls = 0;
  while (cudaStreamQuery(a) == cudaErrorNotReady) ASSERT_LT(++polls, 1000);
  EXPECT_EQ(value(), 3);
}

TEST_F(FakeRuntimeTest, AMissingOrderIsSeen) {
  int early = 0, late = 0;
  for (int i = 1; i <= 60; ++i) {
    set(a, 0, i);
    copy(b, 0, 1);
    ASSERT_EQ(cudaStreamSynchronize(b), cudaSuccess);
    (value(1) == i ? late : early) += 1;
    ASSERT_EQ(cudaStreamSynchronize(a), cudaSuccess);
  }
  EXPECT_GT(early, 5);
  EXPECT_GT(late, 5);
  for (int i = 100; i < 160; ++i) {
    set(a, 0, i);
    order(a, b);
    copy(b, 0, 1);
    ASSERT_EQ(cudaStreamSynchronize(b), cudaSuccess);
    EXPECT_EQ(value(1), i);
  }
}

/// An event may be recorded on another stream while somebody still waits for its record on the first one.
TEST_F(FakeRuntimeTest, AWaitIsForTheRecordThatItSaw) {
  for (int i = 1; i <= 60; ++i) {
    set(a, 0, i);
    order(a, c);
    order(b, c);
    copy(c, 0, 1);
    ASSERT_EQ(cudaStreamSynchronize(c), cudaSuccess);
    EXPECT_EQ(value(1), i);
  }
}

TEST_F(FakeRuntimeTest, CopiesReadPinnedMemoryLateAndOtherMemoryAtOnce) {
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&pinned), sizeof(int)), cudaSuccess);
  int plain = 7;
  *pinned = 7;
  cudaMemcpyAsync(memory, pinned, sizeof(int), cudaMemcpyDefault, a);
  cudaMemcpyAsync(memory + 1, &plain, sizeof(int), cudaMemcpyHostToDevice, a);
  *pinned = plain = 8;
  EXPECT_EQ(cudaMemcpyAsync(&plain, memory + 1, sizeof(int), cudaMemcpyDeviceToHost, a), cudaSuccess);
  EXPECT_EQ(plain, 7);
  EXPECT_EQ(value(0), 8);
  EXPECT_EQ(cudaMemcpyAsync(memory, pinned, sizeof(int), cudaMemcpyDeviceToHost, a), cudaErrorInvalidValue);
  cudaFreeHost(pinned);
}

TEST_F(FakeRuntimeTest, AGraphRepeatsWhatWasCaptured) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(enqueue(a, [this] { ++memory[0]; }), cudaSuccess);
  order(a, b);
  copy(b, 0, 1);
  copy(a, 0, 2);
  EXPECT_EQ(cudaEventRecord(other, b), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(a, other, 0), cudaSuccess);
  EXPECT_EQ(enqueue(a, [this] { memory[3] = memory[1] + memory[2]; }), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(a, &graph), cudaSuccess);
  EXPECT_EQ(value(0), 0);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (int i = 1; i <= 20; ++i) {
    EXPECT_EQ(cudaGraphLaunch(executable, a), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(a), cudaSuccess);
    EXPECT_EQ(value(3), 2 * i);
  }
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
}

TEST_F(FakeRuntimeTest, CaptureRefusesWhatTheRealOneRefuses) {
  cudaGraph_t graph = nullptr;
  const auto begin = [&] { ASSERT_EQ(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal), cudaSuccess); };
  begin();
  set(a, 0, 1);
  order(a, b);
  set(b, 0, 1);
  EXPECT_EQ(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureUnjoined);

  begin();
  void* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 8), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(enqueue(a, [] {}), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(graph, nullptr);

  begin();
  EXPECT_EQ(cudaStreamSynchronize(a), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);

  EXPECT_EQ(cudaEventRecord(event, c), cudaSuccess);
  begin();
  EXPECT_EQ(cudaStreamWaitEvent(a, event, 0), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);

  begin();
  EXPECT_EQ(cudaEventRecord(event, a), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorCapturedEvent);

  begin();
  int plain = 1;
  EXPECT_EQ(cudaMemcpyAsync(memory, &plain, sizeof plain, cudaMemcpyDefault, a), cudaErrorStreamCaptureUnsupported);
  cudaStreamEndCapture(a, &graph);
}

TEST_F(FakeRuntimeTest, AWriteBesideABlockIsFound) {
  EXPECT_EQ(damage(), "");
  EXPECT_EQ(enqueue(a, [this] { memory[4] = 1; }), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a), cudaSuccess);
  EXPECT_EQ(damage(), "byte 0 behind a block of 16 bytes was written");
  EXPECT_EQ(cudaFree(memory), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaStreamSynchronize(a), cudaErrorLaunchFailure);
  EXPECT_STREQ(cudaGetErrorString(cudaErrorLaunchFailure), "unspecified launch failure: byte 0 behind a block of 16 bytes was written");
  memory = nullptr;
}

TEST_F(FakeRuntimeTest, AnErrorOfQueuedWorkStays) {
  EXPECT_EQ(enqueue(a, [] { fail(ErrorKind::internal, "oh"); }), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a), cudaErrorLaunchFailure);
  EXPECT_EQ(enqueue(b, [] {}), cudaErrorLaunchFailure);
}

using FakeRuntimeDeathTest = FakeRuntimeTest;
TEST_F(FakeRuntimeDeathTest, HostCodeMustNotTouchDeviceMemory) { EXPECT_DEATH(memory[0] = 1, "simt: host code touched device memory"); }

TEST_F(FakeRuntimeTest, AMachineCanBeAnything) {
  int count = -1;
  machine().driver = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  machine().driver = 13000;
  machine().devices = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  machine().devices = 3;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 3);
  machine().memory = 100;
  void* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 85), cudaErrorMemoryAllocation);
  std::size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, 84u);
  fail_call({.call = "cudaStreamQuery", .after = 1, .error = cudaErrorUnknown, .for_good = true});
  EXPECT_EQ(cudaStreamQuery(a), cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(a), cudaErrorUnknown);
  EXPECT_EQ(cudaStreamSynchronize(b), cudaErrorUnknown);
}

}  // namespace
}  // namespace lockstep::simt
