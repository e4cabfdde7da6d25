#include "launch/device_ranks.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "distributed/self_communicator.h"
#include "distributed/thread_communicator.h"

namespace lockstep {
namespace {

using Collectives = RunOptions::Collectives;

/// Stands for NCCL: what matters is that it was chosen.
class FakeNccl : public DeviceCommunicator {
 public:
  explicit FakeNccl(const Communicator& ranks) : rank_(ranks.rank()), size_(ranks.size()) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string describe() const override { return "fake NCCL"; }
  bool overlaps() const override { return true; }
  void all_gather(const void*, void*, std::span<const std::size_t>, StreamView) override {}
  void all_to_all(const void*, std::span<const std::size_t>, void*, std::span<const std::size_t>, StreamView) override {}
  void all_reduce_sum(float*, std::int64_t, StreamView) override {}
  void check() override {}
  void abort() override {}

 private:
  int rank_, size_;
};

std::function<OpenNccl> found() {
  return [](NcclRequest* request) -> DeviceCommunicator* { return new FakeNccl(request->ranks); };
}
std::function<OpenNccl> not_in_this_build() { fail(ErrorKind::usage, "plug-in: no NCCL in it"); }

struct Choice {
  std::string describe, note;
};

/// What rank 0 of three gets.
Choice choose(Collectives wanted, const std::vector<std::string>& devices, const std::function<std::function<OpenNccl>()>& nccl = found) {
  Choice choice;
  run_ranks(static_cast<int>(devices.size()), [&](Communicator& world) {
    const DeviceRanks ranks = open_device_ranks(wanted, host_device(), devices[static_cast<std::size_t>(world.rank())], world, nccl);
    if (world.rank() == 0) choice = {ranks.communicator->describe(), ranks.note};
  });
  return choice;
}

std::string error_of(Collectives wanted, const std::vector<std::string>& devices,
                     const std::function<std::function<OpenNccl>()>& nccl = found) {
  try {
    return "no error: " + choose(wanted, devices, nccl).describe;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
}

TEST(DeviceRanksTest, OneRankNeedsNobody) {
  SelfCommunicator world;
  for (const Collectives wanted : {Collectives::automatic, Collectives::nccl, Collectives::staged}) {
    const DeviceRanks ranks = open_device_ranks(wanted, host_device(), "a", world, not_in_this_build);
    EXPECT_EQ(ranks.communicator->describe(), "self");
    EXPECT_EQ(ranks.note, "");
  }
}

TEST(DeviceRanksTest, NcclIsTakenWhereEachRankHasADevice) {
  EXPECT_EQ(choose(Collectives::automatic, {"a", "b", "c"}).describe, "fake NCCL");
  EXPECT_EQ(choose(Collectives::automatic, {"a", "b", "c"}).note, "");
  EXPECT_EQ(choose(Collectives::nccl, {"a", "b", "c"}).describe, "fake NCCL");
  const Choice staged = choose(Collectives::staged, {"a", "b", "c"});
  EXPECT_EQ(staged.describe, "staged over threads");
  EXPECT_EQ(staged.note, "collectives: staged through the host: slow, because run.collectives is \"staged\"");
}

TEST(DeviceRanksTest, RanksThatShareADeviceAreStagedAndSaySo) {
  const Choice choice = choose(Collectives::automatic, {"GPU-1", "GPU-2", "GPU-1"});
  EXPECT_EQ(choice.describe, "staged over threads");
  EXPECT_EQ(choice.note, "collectives: staged through the host: slow, because ranks 0, 2 share \"GPU-1\"");
  EXPECT_EQ(error_of(Collectives::nccl, {"GPU-1", "GPU-2", "GPU-1"}),
            "collectives: ranks 0, 2 share \"GPU-1\", which NCCL refuses: give each rank a device of its own, or set run.collectives = "
            "\"staged\"");
}

TEST(DeviceRanksTest, WithoutNcclRanksAreStagedAndSaySo) {
  const Choice choice = choose(Collectives::automatic, {"a", "b"}, not_in_this_build);
  EXPECT_EQ(choice.describe, "staged over threads");
  EXPECT_EQ(choice.note, "collectives: staged through the host: slow, because rank 0: plug-in: no NCCL in it");
  EXPECT_EQ(error_of(Collectives::nccl, {"a", "b"}, not_in_this_build), "collectives: no NCCL: rank 0: plug-in: no NCCL in it");
}

TEST(DeviceRanksTest, TheVariableNamesNcclAlone) {
  const Environment own = [](const char* name) { return std::string(name) == "LOCKSTEP_NCCL" ? "/a/libnccl.so.2" : nullptr; };
  EXPECT_EQ(nccl_libraries(own), std::vector<std::string>{"/a/libnccl.so.2"});
  const std::vector<std::string> usual = nccl_libraries([](const char*) -> const char* { return nullptr; });
  EXPECT_EQ(std::count(usual.begin(), usual.end(), "libnccl.so.2"), 1);
}

}  // namespace
}  // namespace lockstep
