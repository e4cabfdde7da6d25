#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/registry.h"
#include "distributed/self_communicator.h"
#include "distributed/self_device_communicator.h"
#include "distributed/staged_device_communicator.h"
#include "distributed/thread_communicator.h"
#include "tests/distributed/device_checks.h"
#include "tests/support/queued_device.h"

namespace lockstep {
namespace {

using test::QueuedBackend;
using test::QueuedDevice;

constexpr int kRanks[] = {1, 2, 3, 4, 8};

/// Collectives that run when their turn in the queue comes, as a GPU library's do.
class QueuedCommunicator : public DeviceCommunicator {
 public:
  QueuedCommunicator(QueuedDevice& device, Communicator& ranks) : device_(device), ranks_(ranks) {}
  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  std::string describe() const override { return "queued"; }
  bool overlaps() const override { return true; }
  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) override {
    device_.enqueue(stream,
                    [this, send, receive, sizes = std::vector(bytes.begin(), bytes.end())] { ranks_.all_gather(send, receive, sizes); });
  }
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive, std::span<const std::size_t> receive_bytes,
                  StreamView stream) override {
    device_.enqueue(stream, [this, send, receive, sends = std::vector(send_bytes.begin(), send_bytes.end()),
                             receives = std::vector(receive_bytes.begin(), receive_bytes.end())] {
      ranks_.all_to_all(send, sends, receive, receives);
    });
  }
  void all_reduce_sum(float* data, std::int64_t count, StreamView stream) override {
    device_.enqueue(stream, [this, data, count] { ranks_.all_reduce_sum(data, count); });
  }
  void check() override {}
  void abort() override {}

 private:
  QueuedDevice& device_;
  Communicator& ranks_;
};

std::unique_ptr<Backend> cpu_backend() {
  Value options{Value::Data(Value::Table{})};
  options.set("cpu", Value::boolean(true));
  options.set("threads", Value::integer(1));
  return make_plug_in<Backend>(options);
}

/// Calls `check` on the ranks of each setting: device kind by communicator.
void on_every_device(int ranks, const std::function<void(testing::DeviceRank&)>& check) {
  run_ranks(ranks, [&](Communicator& world) {
    const auto cpu = cpu_backend();
    StagedDeviceCommunicator host(cpu->device(), world);
    testing::DeviceRank on_host{*cpu, host};
    check(on_host);
    for (const auto side : {QueuedDevice::SideQueues::late, QueuedDevice::SideQueues::early}) {
      QueuedDevice device(side);
      QueuedBackend backend(device);
      StagedDeviceCommunicator staged(device, world);
      testing::DeviceRank staged_rank{backend, staged};
      check(staged_rank);
      QueuedCommunicator queued(device, world);
      testing::DeviceRank queued_rank{backend, queued};
      check(queued_rank);
      if (ranks > 1) continue;
      SelfDeviceCommunicator self(device);
      testing::DeviceRank self_rank{backend, self};
      check(self_rank);
    }
  });
}

TEST(DeviceReductionTest, StatisticsHaveTheBitsOfTheTreeOnEveryRankCount) {
  for (int ranks : kRanks)
    for (int lanes : {8, 9, 13, 16})
      on_every_device(ranks, [&](testing::DeviceRank& rank) { testing::check_device_statistics(rank, lanes, RunMode::exact); });
}

TEST(DeviceReductionTest, FastStatisticsAreEqualToRounding) {
  for (int ranks : kRanks)
    on_every_device(ranks, [&](testing::DeviceRank& rank) { testing::check_device_statistics(rank, 13, RunMode::fast); });
}

TEST(DeviceReductionTest, GradientsHaveTheBitsOfTheTreeOnEveryRankCount) {
  for (int ranks : kRanks)
    for (int lanes : {13, 16})
      for (std::int64_t elements : {1, 100, 1500})
        for (bool in_place : {true, false})
          on_every_device(
              ranks, [&](testing::DeviceRank& rank) { testing::check_device_gradients(rank, lanes, elements, RunMode::exact, in_place); });
}

TEST(DeviceReductionTest, FastGradientsAreEqualToRounding) {
  for (int ranks : kRanks)
    for (bool in_place : {true, false})
      on_every_device(ranks, [&](testing::DeviceRank& rank) { testing::check_device_gradients(rank, 13, 100, RunMode::fast, in_place); });
}

TEST(DeviceReductionTest, NodesThatAreNotOfTheTreeAreRefused) {
  const auto cpu = cpu_backend();
  SelfDeviceCommunicator self(cpu->device());
  DeviceTreeGradientSynchronizer synchronizer(*cpu, self, 16);
  std::vector<float> data(4), result(4);
  const NodeGradient half{{0, 8}, data.data()};
  EXPECT_THROW(synchronizer.reduce(0, 4, {&half, 1}, result.data(), {}), Error);
}

TEST(DeviceReductionTest, StagedCollectivesBelongOnTheMainQueue) {
  SelfCommunicator world;
  QueuedDevice device(QueuedDevice::SideQueues::late);
  StagedDeviceCommunicator staged(device, world);
  float value = 1;
  EXPECT_THROW(staged.all_reduce_sum(&value, 1, device.stream(Queue::kCommunication)), Error);
}

TEST(StatisticsPlanTest, ThePowerOfTwoNeedsOneFoldOnEachSideOfTheGather) {
  const StatisticPart part{ReduceKind::moments, 129, 0, nullptr, nullptr};
  for (int ranks : {2, 4, 8}) {
    const StatisticsPlan plan = make_statistics_plan(RunMode::exact, {&part, 1}, 1, ranks, 16);
    EXPECT_EQ(plan.before.size(), 1u);
    EXPECT_EQ(plan.after.size(), 1u);
    EXPECT_EQ(plan.sorted, 0);
    EXPECT_EQ(plan.gathered, 129 * ranks);
  }
}

TEST(StatisticsPlanTest, GroupsOfOneLaneAreOneCopyARank) {
  const StatisticPart part{ReduceKind::moments, 5, 1, nullptr, nullptr};
  EXPECT_EQ(make_statistics_plan(RunMode::exact, {&part, 1}, 0, 1, 16).after.size(), 1u);
  const StatisticsPlan plan = make_statistics_plan(RunMode::exact, {&part, 1}, 1, 4, 16);
  EXPECT_EQ(plan.before.size(), 1u);
  EXPECT_EQ(plan.after.size(), 1u);
}

}  // namespace
}  // namespace lockstep
