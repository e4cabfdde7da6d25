#include "distributed/thread_communicator.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "distributed/self_communicator.h"
#include "tests/distributed/distributed_checks.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ThreadCommunicatorTest, CollectivesDeliverOnEveryRankCount) {
  for (int ranks : {1, 2, 3, 4, 5, 7, 8})
    run_ranks(ranks, [](Communicator& world) {
      testing::check_broadcast_and_gather(world);
      testing::check_all_to_all(world);
      testing::check_sums_groups_and_texts(world);
    });
}

TEST(ThreadCommunicatorTest, SelfDeliversTheSame) {
  SelfCommunicator world;
  testing::check_broadcast_and_gather(world);
  testing::check_all_to_all(world);
  testing::check_sums_groups_and_texts(world);
}

TEST(ThreadCommunicatorTest, AThrowingRankWakesTheOthersAndItsErrorIsTheResult) {
  EXPECT_EQ(error_of([] {
              run_ranks(4, [](Communicator& world) {
                const auto group = world.split(world.rank() % 2);
                if (world.rank() == 2) fail(ErrorKind::io, "disk: full");
                group->barrier();
                world.barrier();
              });
            }),
            "disk: full");
}

TEST(ThreadCommunicatorTest, ARankThatEndsEarlyIsNamed) {
  const std::string error = error_of([] {
    run_ranks(3, [](Communicator& world) {
      if (world.rank() != 1) world.barrier();
    });
  });
  EXPECT_EQ(error.find("threads: waits in vain: rank"), 0u) << error;
  EXPECT_NE(error.find("; rank 1 ended"), std::string::npos) << error;
}

TEST(ThreadCommunicatorTest, TheTimeLimitNamesTheCollectiveAndTheRanks) {
  EXPECT_EQ(error_of([] {
              run_ranks(
                  4,
                  [](Communicator& world) {
                    const auto pair = world.split(world.rank() / 2);
                    if (world.rank() == 3)
                      pair->barrier();
                    else
                      world.barrier();
                  },
                  milliseconds(100));
            }).substr(0, 29),
            "threads: waited for 100 ms: r");
}

TEST(ThreadCommunicatorTest, DifferentCollectivesAreNamed) {
  EXPECT_EQ(error_of([] {
              run_ranks(2, [](Communicator& world) {
                double sum = 0;
                if (world.rank() == 0)
                  world.barrier();
                else
                  world.all_reduce_sum(&sum, 1);
              });
            }).substr(0, 48),
            "threads: the ranks call different collectives: r");
}

TEST(ThreadCommunicatorTest, SizesThatDoNotFitAreNamed) {
  EXPECT_NE(error_of([] {
              run_ranks(2, [](Communicator& world) {
                std::vector<double> sum(3);
                world.all_reduce_sum(sum.data(), 1 + world.rank());
              });
            }).find("all_reduce_sum of f64: ranks"),
            std::string::npos);
  EXPECT_NE(error_of([] {
              run_ranks(2, [](Communicator& world) {
                const std::vector<std::size_t> sends{0, 8}, receives{world.rank() == 0 ? 0u : 4u, 8};
                std::vector<char> data(64);
                world.all_to_all(data.data(), sends, data.data() + 32, receives);
              });
            }).find("bytes to rank"),
            std::string::npos);
}

TEST(ThreadCommunicatorTest, AbortWakesEveryoneWithAnError) {
  EXPECT_EQ(error_of([] {
              run_ranks(3, [](Communicator& world) {
                if (world.rank() == 0) world.abort(75);
                world.barrier();
              });
            }),
            "threads: rank 0 ended the job with exit code 75");
}

}  // namespace
}  // namespace lockstep
