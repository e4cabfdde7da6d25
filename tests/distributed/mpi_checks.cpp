#include <cstdlib>

#include <gtest/gtest.h>

#include "distributed/agree.h"
#include "distributed/start_up.h"
#include "distributed/world.h"
#include "tests/distributed/distributed_checks.h"

/// The checks of the unit tests, by ranks that an mpirun started, of Open MPI or of MPICH. Small messages are forced into pieces.
namespace lockstep {
namespace {

std::unique_ptr<Communicator> world;

TEST(MpiTest, TheWorldHasTheRanksThatWereStarted) {
  const bool open_mpi = std::getenv("OMPI_COMM_WORLD_SIZE");
  EXPECT_EQ(world->size(), std::atoi(std::getenv(open_mpi ? "OMPI_COMM_WORLD_SIZE" : "PMI_SIZE")));
  EXPECT_EQ(world->rank(), std::atoi(std::getenv(open_mpi ? "OMPI_COMM_WORLD_RANK" : "PMI_RANK")));
  EXPECT_EQ(world->local_size(), world->size());
  EXPECT_EQ(world->local_rank(), world->rank());
  EXPECT_EQ(world->describe().find(open_mpi ? "Open MPI v" : "MPICH "), 0u) << world->describe();
}

TEST(MpiTest, CollectivesDeliver) {
  testing::check_broadcast_and_gather(*world);
  testing::check_all_to_all(*world);
  testing::check_sums_groups_and_texts(*world);
}

TEST(MpiTest, StatisticsHaveTheBitsOfTheTree) {
  for (int lanes : {8, 13, 16}) testing::check_statistics(*world, lanes, RunMode::exact);
  testing::check_statistics(*world, 16, RunMode::fast);
}

TEST(MpiTest, GradientsHaveTheBitsOfTheTree) {
  for (int lanes : {8, 13, 16})
    for (std::int64_t elements : {1, 100, 20000})
      for (bool in_place : {true, false}) testing::check_gradients(*world, lanes, elements, RunMode::exact, in_place);
  testing::check_gradients(*world, 16, 1000, RunMode::fast, true);
}

TEST(MpiTest, AnErrorHasTheTextOfMpi) {
  std::byte nothing{};
  try {
    world->broadcast(&nothing, 1, world->size());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    const std::string text = error.what(), start = fmt::format("mpi: rank {}: MPI_Bcast: ", world->rank());
    EXPECT_EQ(text.find(start), 0u) << text;
    EXPECT_NE(text.find("root", start.size()), std::string::npos) << text;
  }
}

TEST(MpiTest, OneRanksErrorIsKnownToAll) {
  const int last = world->size() - 1;
  try {
    agree_on(*world, [&] {
      if (world->rank() == last) fail(ErrorKind::io, "no space left");
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_EQ(std::string(error.what()), last == 0 ? "no space left" : fmt::format("rank {}: no space left", last));
  }
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  lockstep::WorldOptions options;
  if (argc > 1) options.largest_message_bytes = static_cast<std::size_t>(std::atoll(argv[1]));
  lockstep::world = lockstep::open_world(options);
  double failures = RUN_ALL_TESTS();
  lockstep::world->all_reduce_sum(&failures, 1);
  lockstep::world->close();
  return failures == 0 ? 0 : 1;
}
