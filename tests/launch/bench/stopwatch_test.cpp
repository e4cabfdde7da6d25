#include "launch/bench/stopwatch.h"

#include <vector>

#include <gtest/gtest.h>

#include "distributed/self_communicator.h"
#include "distributed/thread_communicator.h"

namespace lockstep {
namespace {

/// Steps until the watch asks to stop; at most `most`.
int steps_until_stop(Stopwatch& watch, int most = 100) {
  LoopRequest request;
  watch.on_run_begin(request);
  int steps = 0;
  while (!request.stop && steps < most) {
    ++steps;
    watch.on_step_end({.step = steps, .loss = 0.5 * steps}, request);
  }
  return steps;
}

TEST(StopwatchTest, BlocksAreAsLongAsAskedForAndNothingMoreRuns) {
  SelfCommunicator alone;
  std::vector<Stopwatch::Block> blocks;
  const std::vector<std::int64_t> asked = {3, 1, 5, 0};
  Stopwatch watch(alone, [&](const Stopwatch::Block& done) {
    blocks.push_back(done);
    return asked[blocks.size() - 1];
  });
  EXPECT_EQ(steps_until_stop(watch), 9);
  ASSERT_EQ(blocks.size(), 4u);
  EXPECT_EQ(blocks[0].steps, 0);
  EXPECT_EQ(blocks[1].steps, 3);
  EXPECT_EQ(blocks[2].steps, 1);
  EXPECT_EQ(blocks[3].steps, 5);
  EXPECT_EQ(blocks[1].loss, 1.5);
  EXPECT_EQ(blocks[3].loss, 4.5);
  for (std::size_t i = 1; i < blocks.size(); ++i) EXPECT_GT(blocks[i].seconds, 0);
}

TEST(StopwatchTest, NoBlockAtAllTakesNoStep) {
  SelfCommunicator alone;
  Stopwatch watch(alone, [](const Stopwatch::Block&) { return 0; });
  EXPECT_EQ(steps_until_stop(watch), 0);
}

TEST(StopwatchTest, AllRanksHearTheTimesOfRank0) {
  std::vector<std::vector<double>> seconds(3);
  run_ranks(3, [&](Communicator& ranks) {
    auto& mine = seconds[static_cast<std::size_t>(ranks.rank())];
    Stopwatch watch(ranks, [&](const Stopwatch::Block& done) {
      mine.push_back(done.seconds);
      return mine.size() < 4 ? 2 : 0;
    });
    steps_until_stop(watch);
  });
  EXPECT_EQ(seconds[0].size(), 4u);
  EXPECT_EQ(seconds[1], seconds[0]);
  EXPECT_EQ(seconds[2], seconds[0]);
}

}  // namespace
}  // namespace lockstep
