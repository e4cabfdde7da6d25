#include <gtest/gtest.h>

#include "core/base/error.h"
#include "distributed/self_communicator.h"
#include "distributed/thread_communicator.h"
#include "tests/distributed/distributed_checks.h"

namespace lockstep {
namespace {

constexpr int kRanks[] = {1, 2, 3, 4, 5, 7, 8};

TEST(ReductionTest, StatisticsHaveTheBitsOfTheTreeOnEveryRankCount) {
  for (int ranks : kRanks)
    for (int lanes : {8, 9, 13, 16, 22})
      run_ranks(ranks, [&](Communicator& world) { testing::check_statistics(world, lanes, RunMode::exact); });
}

TEST(ReductionTest, FastStatisticsAreEqualToRounding) {
  for (int ranks : kRanks)
    for (int lanes : {8, 13, 16}) run_ranks(ranks, [&](Communicator& world) { testing::check_statistics(world, lanes, RunMode::fast); });
}

TEST(ReductionTest, GradientsHaveTheBitsOfTheTreeOnEveryRankCount) {
  for (int ranks : kRanks)
    for (int lanes : {8, 13, 16})
      for (std::int64_t elements : {1, 15, 100, 20000})
        for (bool in_place : {true, false})
          run_ranks(ranks, [&](Communicator& world) { testing::check_gradients(world, lanes, elements, RunMode::exact, in_place); });
}

TEST(ReductionTest, FastGradientsAreEqualToRounding) {
  for (int ranks : kRanks)
    for (bool in_place : {true, false})
      run_ranks(ranks, [&](Communicator& world) { testing::check_gradients(world, 16, 100, RunMode::fast, in_place); });
}

/// Counts the bytes that leave this rank.
class CountingCommunicator : public Communicator {
 public:
  explicit CountingCommunicator(Communicator& inner) : inner_(inner) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  int local_rank() const override { return inner_.local_rank(); }
  int local_size() const override { return inner_.local_size(); }
  std::string describe() const override { return inner_.describe(); }
  void barrier() override { inner_.barrier(); }
  void broadcast(void* data, std::size_t bytes, int root) override {
    calls += 1;
    inner_.broadcast(data, bytes, root);
  }
  void all_reduce_sum(float* data, std::int64_t count) override { inner_.all_reduce_sum(data, count); }
  void all_reduce_sum(double* data, std::int64_t count) override { inner_.all_reduce_sum(data, count); }
  void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) override {
    calls += 1;
    sent += bytes[static_cast<std::size_t>(rank())] * static_cast<std::size_t>(size() - 1);
    inner_.all_gather(send, receive, bytes);
  }
  void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                  std::span<const std::size_t> receive_bytes) override {
    calls += 1;
    for (int r = 0; r < size(); ++r)
      if (r != rank()) sent += send_bytes[static_cast<std::size_t>(r)];
    inner_.all_to_all(send, send_bytes, receive, receive_bytes);
  }
  std::unique_ptr<Communicator> split(int colour) override { return inner_.split(colour); }
  void abort(int code) override { inner_.abort(code); }

  std::size_t sent = 0;
  int calls = 0;

 private:
  Communicator& inner_;
};

TEST(ReductionTest, PowersOfTwoMoveNoMoreBytesThanARing) {
  constexpr std::int64_t kElements = 16 * 8 * 10;
  for (int ranks : {1, 2, 4, 8})
    run_ranks(ranks, [&](Communicator& world) {
      CountingCommunicator counting(world);
      testing::check_gradients(counting, 16, kElements, RunMode::exact, true);
      EXPECT_EQ(counting.sent, static_cast<std::size_t>(2 * kElements * (ranks - 1) / ranks) * sizeof(float));
    });
}

TEST(ReductionTest, AllStatisticsTravelInOneCollective) {
  run_ranks(3, [](Communicator& world) {
    CountingCommunicator counting(world);
    testing::check_statistics(counting, 16, RunMode::exact);
    EXPECT_EQ(counting.calls, 2);
    testing::check_statistics(counting, 16, RunMode::fast);
    EXPECT_EQ(counting.calls, 4);
  });
}

TEST(ReductionTest, NodesThatAreNotOfTheTreeAreRefused) {
  SelfCommunicator world;
  TreeGradientSynchronizer synchronizer(world, 16);
  std::vector<float> data(4), result(4);
  const NodeGradient half{{0, 8}, data.data()};
  EXPECT_THROW(synchronizer.reduce(0, 4, {&half, 1}, result.data(), {}), Error);
}

}  // namespace
}  // namespace lockstep
