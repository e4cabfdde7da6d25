#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/registry.h"
#include "distributed/nccl/nccl_communicator.h"
#include "distributed/nccl/start_up_hints.h"
#include "distributed/nccl_request.h"
#include "distributed/thread_communicator.h"
#include "tests/distributed/device_checks.h"
#include "tests/distributed/nccl/fake_nccl.h"

extern "C" lockstep::OpenNccl lockstep_open_nccl;

/// distributed/nccl over a library that stands for NCCL, with ranks as threads on the host's memory.
namespace lockstep {
namespace {

template <class Function>
Function* fake(const char* name, Function*) {
  static void* library = dlopen(LOCKSTEP_FAKE_NCCL, RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<Function*>(dlsym(library, name));
}
#define FAKE(function) fake(#function, decltype(&function){})

/// A variable of the environment for the length of a test.
struct Variable {
  Variable(const char* the_name, const char* value) : name(the_name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name); }
  const char* name;
};

class NcclTest : public ::testing::Test {
 protected:
  NcclTest() { FAKE(fake_nccl_counts)(); }
  ~NcclTest() override { set_fault(-1, kFakeNone); }
  static void set_fault(int rank, FakeFault fault) { FAKE(fake_nccl_fault)(rank, fault); }
};

std::unique_ptr<DeviceCommunicator> open(Communicator& world, double start_seconds = 30) {
  NcclRequest request{.device = host_device(), .ranks = world, .libraries = {LOCKSTEP_FAKE_NCCL}, .start_seconds = start_seconds};
  return std::unique_ptr<DeviceCommunicator>(lockstep_open_nccl(&request));
}

std::string error_of(int ranks, const std::function<void(Communicator&)>& work, ErrorKind kind = ErrorKind::io) {
  try {
    run_ranks(ranks, work);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

std::vector<std::byte> parts_of(const std::vector<std::size_t>& bytes) {
  std::vector<std::byte> all;
  for (std::size_t r = 0; r < bytes.size(); ++r) {
    const auto part = testing::pattern(static_cast<int>(r), 1, bytes[r]);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

TEST_F(NcclTest, GathersDeliverEqualPartsPartsWithARestAndAnyOthers) {
  for (int ranks : {2, 3, 4})
    run_ranks(ranks, [&](Communicator& world) {
      const auto nccl = open(world);
      std::vector<std::vector<std::size_t>> settings(4, std::vector<std::size_t>(static_cast<std::size_t>(ranks), 100));
      settings[1].back() = 117;
      for (std::size_t r = 0; r < settings[2].size(); ++r) settings[2][r] = r * 30;
      settings[3].assign(settings[3].size(), 0);
      settings[3].back() = 5;
      for (const auto& bytes : settings)
        for (const bool in_place : {false, true}) {
          const auto expected = parts_of(bytes);
          std::vector<std::byte> all(expected.size());
          std::size_t at = 0;
          for (int r = 0; r < world.rank(); ++r) at += bytes[static_cast<std::size_t>(r)];
          auto mine = testing::pattern(world.rank(), 1, bytes[static_cast<std::size_t>(world.rank())]);
          if (in_place) std::copy(mine.begin(), mine.end(), all.begin() + static_cast<std::ptrdiff_t>(at));
          nccl->all_gather(in_place ? all.data() + at : mine.data(), all.data(), bytes, {});
          EXPECT_EQ(all, expected);
        }
      nccl->close();
    });
  const FakeCounts counts = FAKE(fake_nccl_counts)();
  EXPECT_EQ(counts.gathers, 4 * (2 + 3 + 4));        // of equal parts, in one call, with and without a rest
  EXPECT_EQ(counts.sends, 2 * (0 + 2 * 2 + 3 * 3));  // of others; a first part of nothing is equal parts and a rest
  EXPECT_EQ(counts.finalized, 2 + 3 + 4);
  EXPECT_EQ(counts.destroyed, 2 + 3 + 4);
  EXPECT_EQ(counts.aborts, 0);
}

TEST_F(NcclTest, ExchangesAndSumsDeliver) {
  for (int ranks : {2, 3, 4})
    run_ranks(ranks, [&](Communicator& world) {
      const auto nccl = open(world);
      const int rank = world.rank();
      std::vector<std::size_t> sends, receives;
      std::vector<std::byte> out, expected;
      for (int r = 0; r < ranks; ++r) {
        sends.push_back(static_cast<std::size_t>(rank * 100 + r * 250));
        receives.push_back(static_cast<std::size_t>(r * 100 + rank * 250));
        const auto sent = testing::pattern(rank, r, sends.back()), received = testing::pattern(r, rank, receives.back());
        out.insert(out.end(), sent.begin(), sent.end());
        expected.insert(expected.end(), received.begin(), received.end());
      }
      std::vector<std::byte> in(expected.size());
      nccl->all_to_all(out.data(), sends, in.data(), receives, {});
      EXPECT_EQ(in, expected);
      std::vector<float> sum(10, static_cast<float>(rank + 1));
      nccl->all_reduce_sum(sum.data(), 10, {});
      EXPECT_EQ(sum, std::vector<float>(10, static_cast<float>(ranks * (ranks + 1) / 2)));
      nccl->close();
    });
}

TEST_F(NcclTest, ReductionsHaveTheBitsOfTheTree) {
  for (int ranks : {2, 3, 4})
    run_ranks(ranks, [&](Communicator& world) {
      Value options{Value::Data(Value::Table{})};
      options.set("cpu", Value::boolean(true));
      const auto backend = make_plug_in<Backend>(options);
      const auto nccl = open(world);
      testing::DeviceRank rank{*backend, *nccl};
      for (int lanes : {8, 13}) {
        testing::check_device_statistics(rank, lanes, RunMode::exact);
        testing::check_device_gradients(rank, lanes, 500, RunMode::exact, true);
      }
      testing::check_device_gradients(rank, 8, 500, RunMode::fast, false);
      nccl->close();
    });
}

TEST_F(NcclTest, TheLogGetsVersionAndSettings) {
  const Variable setting("NCCL_IB_HCA", "mlx5_0");
  run_ranks(2, [](Communicator& world) {
    const auto nccl = open(world);
    EXPECT_EQ(nccl->describe(), fmt::format("NCCL {}.{}.{} (NCCL_IB_HCA=mlx5_0)", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH));
    nccl->close();
  });
}

TEST_F(NcclTest, ARankThatCannotStartIsNamedOnAll) {
  set_fault(1, kFakeStartFails);
  const std::string error = error_of(3, [](Communicator& world) { open(world, 0.5); });
  EXPECT_NE(error.find("rank 1: ncclCommInitRankConfig: fake error: socket closed; rank 2: nccl: "), std::string::npos) << error;
  EXPECT_NE(error.find("NCCL_SOCKET_IFNAME"), std::string::npos) << error;
  EXPECT_NE(error.find("run.collectives = \"staged\""), std::string::npos) << error;
}

TEST_F(NcclTest, AStartThatTakesTooLongEnds) {
  set_fault(-1, kFakeNeverStarts);
  const std::string error = error_of(2, [](Communicator& world) { open(world, 0.5); });
  EXPECT_NE(error.find("rank 1: nccl: rank 1: ncclCommInitRankConfig: not done after 0.5 s; /dev/shm has "), std::string::npos) << error;
  EXPECT_EQ(FAKE(fake_nccl_counts)().aborts, 2);
}

TEST_F(NcclTest, ALostPeerEndsAWaitAndTheNextCall) {
  EXPECT_EQ(error_of(2,
                     [](Communicator& world) {
                       const auto nccl = open(world);
                       nccl->check();
                       world.barrier();
                       set_fault(-1, kFakePeerLost);
                       float value = 1;
                       EXPECT_THROW(nccl->all_reduce_sum(&value, 1, {}), Error);
                       world.barrier();
                       if (world.rank() == 1) nccl->check();
                       world.barrier();
                     }),
            "nccl: rank 1: a collective: remote process exited: socket closed");
  EXPECT_EQ(FAKE(fake_nccl_counts)().aborts, 2);
}

/// The rank whose time is over first gives up, which the other may hear before its own time is over.
TEST_F(NcclTest, ACallThatIsNeverQueuedEnds) {
  std::array<std::string, 2> errors;
  EXPECT_THROW(run_ranks(2,
                         [&](Communicator& world) {
                           const auto nccl = open(world, 0.5);
                           world.barrier();
                           set_fault(-1, kFakeCallsHang);
                           float value = 1;
                           try {
                             nccl->all_reduce_sum(&value, 1, {});
                           } catch (const Error& error) {
                             errors[static_cast<std::size_t>(world.rank())] = error.what();
                             throw;
                           }
                         }),
               Error);
  EXPECT_TRUE(std::ranges::any_of(errors, [](const std::string& error) { return error.find(": all_reduce_sum: not done after 0.5 s") != std::string::npos; }))
      << errors[0] << "; " << errors[1];
  for (const std::string& error : errors) EXPECT_NE(error.find(": all_reduce_sum: "), std::string::npos) << error;
}

TEST_F(NcclTest, AnAbortThatHangsIsLeftBehind) {
  const NcclLibrary library = open_nccl_library({LOCKSTEP_FAKE_NCCL});
  run_ranks(2, [&](Communicator& world) {
    NcclCommunicator nccl(library, host_device(), world, {.abort = std::chrono::milliseconds(20)});
    world.barrier();
    set_fault(-1, kFakeAbortHangs);
    nccl.abort();
    nccl.abort();
    EXPECT_THROW(nccl.all_reduce_sum(nullptr, 0, {}), Error);
  });
  EXPECT_EQ(FAKE(fake_nccl_counts)().aborts, 0);
}

TEST_F(NcclTest, WithoutTheLibraryTheAnswerIsNullAndSaysWhere) {
  run_ranks(2, [](Communicator& world) {
    NcclRequest request{.device = host_device(), .ranks = world, .libraries = {"/nowhere/libnccl.so.2"}};
    EXPECT_EQ(lockstep_open_nccl(&request), nullptr);
    EXPECT_EQ(request.why_not,
              "rank 0: nccl: libnccl.so.2 is not found: /nowhere/libnccl.so.2: cannot open shared object file: No such file or directory; "
              "set LOCKSTEP_NCCL "
              "to the path of libnccl.so.2");
  });
}

TEST_F(NcclTest, VersionsMustAgreeAndBeNewEnough) {
  EXPECT_EQ(
      error_of(
          3,
          [](Communicator& world) {
            FAKE(fake_nccl_version)(world.rank() == 2 ? 22705 : 22809);
            open(world);
          },
          ErrorKind::usage),
      "start-up: the ranks differ in \"NCCL version\": ranks 0-1 have \"2.28.9\", rank 2 has \"2.27.5\"; install one version on all nodes, "
      "or set LOCKSTEP_NCCL or run.collectives = \"staged\"");
  run_ranks(2, [](Communicator& world) {
    FAKE(fake_nccl_version)(21005);
    NcclRequest request{.device = host_device(), .ranks = world, .libraries = {LOCKSTEP_FAKE_NCCL}};
    EXPECT_EQ(lockstep_open_nccl(&request), nullptr);
    EXPECT_EQ(request.why_not, fmt::format("rank 0: nccl: \"{}\" is version 2.10.5: expected 2.18 or newer", LOCKSTEP_FAKE_NCCL));
  });
}

TEST_F(NcclTest, BlockingLaunchesAreRefused) {
  const Variable blocking("CUDA_LAUNCH_BLOCKING", "1");
  EXPECT_EQ(error_of(
                2, [](Communicator& world) { open(world); }, ErrorKind::usage),
            "nccl: collectives hang with CUDA_LAUNCH_BLOCKING=1: unset it, or set run.collectives = \"staged\"");
}

TEST_F(NcclTest, GraphsWithoutMixingAreRefused) {
  const Variable mixing("NCCL_GRAPH_MIXING_SUPPORT", "0");
  EXPECT_EQ(error_of(
                2, [](Communicator& world) { open(world); }, ErrorKind::usage),
            "nccl: recorded steps and others take turns, which NCCL_GRAPH_MIXING_SUPPORT=0 forbids: unset it");
}

TEST(NcclLibraryTest, TheRealOneHasAllFunctions) {
  std::optional<NcclLibrary> nccl;
  try {
    nccl = open_nccl_library({"libnccl.so.2", LOCKSTEP_NCCL_FOLDER "/libnccl.so.2"});
  } catch (const Error& error) {
    GTEST_SKIP() << "no NCCL on this machine: " << error.what();
  }
  EXPECT_EQ(nccl->version.substr(0, 2), "2.");
}

}  // namespace
}  // namespace lockstep
