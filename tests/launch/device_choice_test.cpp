#include "launch/device_choice.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/registry.h"
#include "distributed/self_communicator.h"
#include "distributed/thread_communicator.h"
#include "launch/shared_files.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using test::expect_error;
using Kind = RunOptions::DeviceKind;

/// What the backend was told of plans when it was last made.
thread_local std::vector<std::string> stores;

/// Whether the stand-in for the CUDA backend finds a device; each rank is a thread.
thread_local bool has_device = true;

class StandIn : public Backend {
 public:
  std::string name() const override { return "cuda"; }
  std::string describe() const override { return "cuda stand-in"; }
  std::vector<Precision> precisions() const override { return {Precision::bf16}; }
  Device& device() override { return host_device(); }
  WorkOrder order() const override { return WorkOrder::by_instruction; }
  std::unique_ptr<Kernel> make(const OpSpec&) const override { return nullptr; }
  int workers() const override { return 1; }
  void parallel(int, const std::function<void(int, int)>&) override {}
};

void register_stand_in() {
  if (Registry<Backend>::instance().find("cuda")) return;
  const Register<Backend> registered{{.name = "cuda", .summary = "a stand-in", .make = [](Options& options) -> std::unique_ptr<Backend> {
                                        options.expect_true("cuda");
                                        stores = {options.text("plans"), options.text("carried"), options.boolean("tune") ? "timed" : ""};
                                        if (!has_device) fail(ErrorKind::usage, "no cuda device: the driver sees no GPU");
                                        return std::make_unique<StandIn>();
                                      }}};
}

CudaPlugIn plug_in(bool driver) {
  return {.has_driver = [driver] { return driver; }, .open = register_stand_in};
}
const CudaPlugIn kNotInstalled{.has_driver = [] { return true; }, .open = [] { fail(ErrorKind::usage, "plug-in: \"x.so\" is not installed"); }};

ChosenBackend choose(Kind kind, const CudaPlugIn& cuda) {
  SelfCommunicator alone;
  RunOptions options;
  options.device = kind;
  return choose_backend(options, 2, alone, cuda);
}

class DeviceChoiceTest : public ::testing::Test {
 protected:
  void SetUp() override { has_device = true; }
};

// First, since a backend stays registered.
TEST_F(DeviceChoiceTest, APlugInThatIsMissingIsNamed) {
  if (Registry<Backend>::instance().find("cuda")) GTEST_SKIP() << "another test of this process was first";
  expect_error(ErrorKind::usage, "no cuda device: plug-in: \"x.so\" is not installed", [] { choose(Kind::cuda, kNotInstalled); });
  const ChosenBackend chosen = choose(Kind::automatic, kNotInstalled);
  EXPECT_EQ(chosen.backend->name(), "cpu");
  EXPECT_EQ(chosen.note, "device: cpu, since no cuda device: plug-in: \"x.so\" is not installed");
  const CudaPlugIn lacking{.has_driver = [] { return true; },
                           .open = [] { fail(ErrorKind::usage, "plug-in: \"x.so\" does not load: libcudnn.so.9: cannot open shared object file"); }};
  expect_error(ErrorKind::usage,
               "no cuda device: plug-in: \"x.so\" does not load: libcudnn.so.9: cannot open shared object file; install cuDNN and a CUDA toolkit, or "
               "name their folders in LOCKSTEP_CUDA_LIBRARIES",
               [&] { choose(Kind::cuda, lacking); });
}

TEST_F(DeviceChoiceTest, TheCpuIsTakenWhereItIsAskedFor) {
  const ChosenBackend chosen = choose(Kind::cpu, {.has_driver = []() -> bool { throw 1; }, .open = [] { throw 1; }});
  EXPECT_EQ(chosen.backend->name(), "cpu");
  EXPECT_EQ(chosen.backend->workers(), 2);
}

TEST_F(DeviceChoiceTest, WithoutADriverNothingIsOpened) {
  const CudaPlugIn none{.has_driver = [] { return false; }, .open = [] { throw 1; }};
  expect_error(ErrorKind::usage, "no cuda device: no NVIDIA driver is installed; set run.device to \"cpu\" or \"auto\"",
               [&] { choose(Kind::cuda, none); });
  const ChosenBackend chosen = choose(Kind::automatic, none);
  EXPECT_EQ(chosen.backend->name(), "cpu");
  EXPECT_EQ(chosen.note, "");
}

TEST_F(DeviceChoiceTest, AutoTakesTheGpuThatIsThere) {
  for (const Kind kind : {Kind::automatic, Kind::cuda}) {
    const ChosenBackend chosen = choose(kind, plug_in(true));
    EXPECT_EQ(chosen.backend->name(), "cuda");
    EXPECT_EQ(chosen.note, "");
  }
}

TEST_F(DeviceChoiceTest, TheBackendIsToldWherePlansAreKeptAndCarriedAndRunsNeverTime) {
  ::setenv("LOCKSTEP_CUDA_PLANS", "/somewhere", 1);
  choose(Kind::cuda, plug_in(true));
  EXPECT_EQ(stores, (std::vector<std::string>{"/somewhere", shared_folder() + "/plans", ""}));
  open_tuning_backend(plug_in(true));
  EXPECT_EQ(stores.back(), "timed");
  ::unsetenv("LOCKSTEP_CUDA_PLANS");
}

TEST_F(DeviceChoiceTest, TuningWithoutADriverIsOneLine) {
  expect_error(ErrorKind::usage, "plan: --tune times engines on the GPU at hand, and no NVIDIA driver is installed", [] { open_tuning_backend(plug_in(false)); });
}

TEST_F(DeviceChoiceTest, ADriverWithoutADeviceIsNoted) {
  has_device = false;
  expect_error(ErrorKind::usage, "no cuda device: the driver sees no GPU", [] { choose(Kind::cuda, plug_in(true)); });
  const ChosenBackend chosen = choose(Kind::automatic, plug_in(true));
  EXPECT_EQ(chosen.backend->name(), "cpu");
  EXPECT_EQ(chosen.note, "device: cpu, since no cuda device: the driver sees no GPU");
}

TEST_F(DeviceChoiceTest, RanksComputeOnOneKind) {
  register_stand_in();
  run_ranks(3, [](Communicator& ranks) {
    has_device = ranks.rank() != 2;
    expect_error(ErrorKind::usage,
                 "start-up: the ranks differ in \"device\": ranks 0-1 have \"cuda\", rank 2 has \"device: cpu, since no cuda device: the driver "
                 "sees no GPU\"; give every rank a device, or set run.device to \"cpu\"",
                 [&] { choose_backend({}, 1, ranks, plug_in(true)); });
    RunOptions cuda;
    cuda.device = Kind::cuda;
    expect_error(ErrorKind::usage, "rank 2: no cuda device: the driver sees no GPU", [&] { choose_backend(cuda, 1, ranks, plug_in(true)); });
  });
}

}  // namespace
}  // namespace lockstep
