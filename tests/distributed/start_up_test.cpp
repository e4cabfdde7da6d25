#include "distributed/start_up.h"

#include <cstring>
#include <map>

#include <gtest/gtest.h>

#include "distributed/agree.h"
#include "distributed/broadcast_visitor.h"
#include "distributed/gathering_visitor.h"
#include "distributed/mpi_plug_in.h"
#include "distributed/plug_in.h"
#include "distributed/rank_list.h"
#include "distributed/thread_communicator.h"
#include "distributed/world.h"
#include "tests/support/sample_state.h"

namespace lockstep {
namespace {

/// Runs the work on ranks and expects the same error on each.
void expect_error(int ranks, const std::function<void(Communicator&)>& work, ErrorKind kind, const std::string& message) {
  run_ranks(ranks, [&](Communicator& world) {
    try {
      work(world);
      ADD_FAILURE() << "no error on rank " << world.rank();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      EXPECT_EQ(std::string(error.what()), message);
    }
  });
}

TEST(StartUpTest, EqualFactsPass) {
  run_ranks(4, [](Communicator& world) { compare_facts(world, {{.name = "seed", .value = "7"}, {.name = "model", .value = "a 3:b"}}); });
}

TEST(StartUpTest, ADifferenceIsNamedWithRanksAndValues) {
  expect_error(
      4,
      [](Communicator& world) {
        compare_facts(world, {{.name = "run file", .value = "x"},
                              {.name = "seed",
                               .value = world.rank() == 3 ? "8" : "7",
                               .kind = ErrorKind::run_file,
                               .remedy = "start all ranks with the same command"}});
      },
      ErrorKind::run_file,
      "start-up: the ranks differ in \"seed\": ranks 0-2 have \"7\", rank 3 has \"8\"; start all ranks with the same command");
}

TEST(StartUpTest, RanksWithOtherFactsAreNamed) {
  expect_error(
      2, [](Communicator& world) { compare_facts(world, {{.name = world.rank() == 0 ? "seed" : "sead", .value = "7"}}); }, ErrorKind::usage,
      "start-up: the ranks differ in \"facts to compare\": rank 0 has \"seed\", rank 1 has \"sead\"; start the same program on all ranks");
}

TEST(StartUpTest, MoreRanksThanLanesAreRefusedWithTheRemedy) {
  require_lanes(16, 16);
  try {
    require_lanes(16, 20);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_STREQ(error.what(), "16 lanes cannot serve 20 ranks: set run.lanes to 20 or more, or start fewer ranks");
  }
}

TEST(StartUpTest, RanksAreListedInRuns) {
  EXPECT_EQ(rank_list(std::vector<int>{3}), "rank 3");
  EXPECT_EQ(rank_list(std::vector<int>{0, 1, 2, 5, 7, 8}), "ranks 0-2, 5, 7-8");
}

TEST(AgreeTest, NothingIsThrownWhenAllIsWell) {
  run_ranks(3, [](Communicator& world) { agree_on(world, [] {}); });
}

TEST(AgreeTest, OneRanksErrorIsKnownToAll) {
  expect_error(
      3,
      [](Communicator& world) {
        agree_on(world, [&] {
          if (world.rank() == 1) fail(ErrorKind::content, "images: damaged");
        });
      },
      ErrorKind::content, "rank 1: images: damaged");
}

TEST(AgreeTest, DifferentErrorsStandInRankOrderAndTheLowestRankGivesTheKind) {
  expect_error(
      4,
      [](Communicator& world) {
        agree_on(world, [&] {
          if (world.rank() == 1) throw std::runtime_error("odd");
          if (world.rank() > 1) fail(ErrorKind::io, "no space left");
        });
      },
      ErrorKind::internal, "rank 1: odd; ranks 2-3: no space left");
}

TEST(AgreeTest, AnErrorOfAllRanksStandsAlone) {
  expect_error(
      3, [](Communicator& world) { agree(world, Error(ErrorKind::usage, "unknown option \"--x\"")); }, ErrorKind::usage,
      "unknown option \"--x\"");
}

TEST(AgreeTest, AnErrorOfRank0AloneStandsAlone) {
  expect_error(
      3,
      [](Communicator& world) {
        agree_on(world, [&] {
          if (world.rank() == 0) fail(ErrorKind::usage, "the directory is in use");
        });
      },
      ErrorKind::usage, "the directory is in use");
}

TEST(BroadcastVisitorTest, EveryMemberBecomesTheRootsButRowsStay) {
  run_ranks(3, [](Communicator& world) {
    testing::SampleState state(static_cast<float>(world.rank() + 1)), root(1.0f), mine(static_cast<float>(world.rank() + 1));
    state.note = std::string(static_cast<std::size_t>(world.rank() + 1), 'n');
    state.history.resize(static_cast<std::size_t>(2 + world.rank()));
    BroadcastVisitor visitor(world);
    state.visit(visitor);
    EXPECT_EQ(0, std::memcmp(state.weight.as<float>(), root.weight.as<float>(), root.weight.spec().bytes()));
    EXPECT_EQ(state.step, root.step);
    EXPECT_EQ(state.history, root.history);
    EXPECT_EQ(state.note, "n");
    EXPECT_EQ(0, std::memcmp(state.carried.as<float>(), mine.carried.as<float>(), mine.carried.spec().bytes()));
  });
}

/// Keeps what it sees; adds 100 to floats, as a load would write.
class WritingVisitor : public StateVisitor {
 public:
  void enter(std::string_view) override {}
  void leave() override {}
  void tensor(std::string_view name, TensorView value) override {
    seen[std::string(name)] = std::vector<float>(value.as<float>(), value.as<float>() + value.spec.elements());
    shapes[std::string(name)] = value.spec.shape;
    for (std::int64_t i = 0; i < value.spec.elements(); ++i) value.as<float>()[i] += 100.0f;
  }
  void positional(std::string_view, TensorView, std::int64_t, std::int64_t) override { ADD_FAILURE() << "rows were not gathered"; }
  void integer(std::string_view, std::int64_t& value) override { value += 1; }
  void real(std::string_view, double& value) override { value += 1; }
  void reals(std::string_view, std::vector<double>& values) override { values.push_back(1); }
  void text(std::string_view, std::string& value) override { value += "1"; }

  std::map<std::string, std::vector<float>> seen;
  std::map<std::string, Shape> shapes;
};

TEST(GatheringVisitorTest, RowsArriveWholeAndWhatIsWrittenGoesBackToEachRank) {
  for (int ranks : {1, 2, 3, 5, 7})
    run_ranks(ranks, [&](Communicator& world) {
      constexpr std::int64_t kRows = 6;
      const std::int64_t first = world.rank() * kRows / ranks, last = (world.rank() + 1) * kRows / ranks;
      Tensor rows({Shape{last - first, 2}, Dtype::f32});
      for (std::int64_t i = 0; i < (last - first) * 2; ++i) rows.as<float>()[i] = static_cast<float>(first * 2 + i);
      WritingVisitor inner;
      GatheringVisitor visitor(world, inner);
      visitor.positional("carry", rows.view(), first, kRows);
      std::vector<float> expected;
      for (int i = 0; i < 12; ++i) expected.push_back(static_cast<float>(i));
      EXPECT_EQ(inner.seen["carry"], expected);
      EXPECT_EQ(inner.shapes["carry"], (Shape{6, 2}));
      for (std::int64_t i = 0; i < (last - first) * 2; ++i) EXPECT_EQ(rows.as<float>()[i], static_cast<float>(first * 2 + i + 100));
      std::int64_t step = 4;
      std::string text = "a";
      visitor.integer("step", step);
      visitor.text("note", text);
      EXPECT_EQ(step, 5);
      EXPECT_EQ(text, "a1");
    });
}

TEST(GatheringVisitorTest, RowsWithAGapAreRefused) {
  expect_error(
      2,
      [](Communicator& world) {
        Tensor rows({Shape{2, 1}, Dtype::f32});
        WritingVisitor inner;
        GatheringVisitor(world, inner).positional("carry", rows.view(), world.rank() * 3, 5);
      },
      ErrorKind::internal, "state \"carry\": expected rows from 2, got them from 3");
}

Environment environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> const char* {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  };
}

TEST(WorldTest, LaunchersAreRecognised) {
  EXPECT_FALSE(started_by_launcher(environment({{"SLURM_NTASKS", "4"}})));
  EXPECT_TRUE(started_by_launcher(environment({{"OMPI_COMM_WORLD_SIZE", "1"}})));
  EXPECT_TRUE(started_by_launcher(environment({{"PMIX_RANK", "0"}})));
  EXPECT_TRUE(started_by_launcher(environment({{"PMI_RANK", "0"}})));
  for (const char* name : {"PMI_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_RANK", "PALS_RANKID"})
    EXPECT_TRUE(started_by_launcher(environment({{name, "1"}}))) << name;
}

TEST(WorldTest, TheLauncherTellsTheRankBeforeMpiDoes) {
  EXPECT_EQ(rank_by_launcher(environment({})), 0);
  EXPECT_EQ(rank_by_launcher(environment({{"SLURM_PROCID", "3"}})), 3);
  EXPECT_EQ(rank_by_launcher(environment({{"SLURM_PROCID", "0"}, {"PMI_RANK", "2"}})), 2);
  EXPECT_EQ(rank_by_launcher(environment({{"PMIX_RANK", "1"}, {"OMPI_COMM_WORLD_RANK", "5"}})), 5);
}

/// The message, or "" where the world is whole.
std::string world_error(std::map<std::string, std::string> variables, int size, std::string_view mpi) {
  try {
    require_whole_world(environment(std::move(variables)), size, mpi);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
}

TEST(WorldTest, ALauncherOfAnotherMpiIsNamedWithBothNumbersAndTheRemedy) {
  EXPECT_EQ(world_error({{"PMI_SIZE", "4"}}, 1, "Open MPI v4.1.4"),
            "start-up: the launcher and the MPI plug-in are of different MPIs: PMI_SIZE says 4 ranks, Open MPI v4.1.4 finds 1; start with the mpirun "
            "of Open MPI v4.1.4, or build the plug-in with the mpicc of this launcher's MPI: share/lockstep/mpi/build.sh MPICC");
  EXPECT_EQ(world_error({{"SLURM_STEP_NUM_TASKS", "4"}, {"PMIX_RANK", "1"}}, 1, "MPICH 4.0.2"),
            "start-up: the launcher and the MPI plug-in are of different MPIs: SLURM_STEP_NUM_TASKS says 4 ranks, MPICH 4.0.2 finds 1; start with an "
            "\"srun --mpi=...\" that MPICH 4.0.2 knows (\"srun --mpi=list\" shows what the site has), or build the plug-in with the mpicc of this "
            "launcher's MPI: share/lockstep/mpi/build.sh MPICC");
  EXPECT_NE(world_error({{"OMPI_COMM_WORLD_SIZE", "2"}, {"PMI_SIZE", "1"}}, 1, "MPICH"), "");
}

TEST(WorldTest, AWorldInsideAnotherJobIsWhole) {
  EXPECT_EQ(world_error({{"OMPI_COMM_WORLD_SIZE", "2"}, {"SLURM_NTASKS", "8"}}, 2, "Open MPI"), "");
  EXPECT_EQ(world_error({{"PMI_SIZE", "2"}, {"SLURM_STEP_NUM_TASKS", "1"}}, 2, "MPICH"), "");
  EXPECT_EQ(world_error({{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_NTASKS", "8"}}, 1, ""), "");
  EXPECT_EQ(world_error({{"SLURM_STEP_NUM_TASKS", "2"}, {"PMIX_RANK", "0"}}, 6, "Open MPI"), "");
  EXPECT_EQ(world_error({{"PMI_SIZE", "odd"}}, 1, "MPICH"), "");
}

TEST(MpiPlugInTest, LibrariesAreNamedShortly) {
  EXPECT_EQ(mpi_library_name("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4"), "Open MPI v4.1.4");
  EXPECT_EQ(mpi_library_name("MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr"), "MPICH 4.0.2");
  EXPECT_EQ(mpi_library_name("MVAPICH2 Version      :\t2.3.7\nMVAPICH2 Release date"), "MVAPICH2 2.3.7");
  EXPECT_EQ(mpi_library_name("Intel(R) MPI Library 2021.9 for Linux* OS\n"), "Intel(R) MPI Library 2021.9 for Linux* OS");
}

TEST(WorldTest, SlurmTasksThatFindThemselvesAloneGetTheMpiHint) {
  require_whole_world(environment({{"SLURM_NTASKS", "4"}}), 4);
  require_whole_world(environment({{"SLURM_NTASKS", "1"}}), 1);
  require_whole_world(environment({{"SLURM_NTASKS", "4"}, {"OMPI_COMM_WORLD_SIZE", "1"}}), 1);
  try {
    require_whole_world(environment({{"SLURM_NTASKS", "4"}}), 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_STREQ(error.what(),
                 "start-up: Slurm has 4 tasks, but this process finds itself alone: start it as \"srun --mpi=pmix lockstep ...\" (\"srun "
                 "--mpi=list\" shows "
                 "what the site has)");
  }
}

TEST(PlugInTest, AnAbsentLibraryIsNamedWithWhereItWasLookedFor) {
  try {
    open_plug_in({.file = "liblockstep_absent.so"}, "entry");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(std::string(error.what()).find("plug-in: \"liblockstep_absent.so\" is not installed: looked for /"), 0u) << error.what();
  }
}

}  // namespace
}  // namespace lockstep
