#include "core/backend/cuda/cuda_backend.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "core/backend/cuda/find_device.h"
#include "core/base/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/simt/fake_runtime.h"

namespace lockstep::cuda {
namespace {

using test::expect_error;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> const char* {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  };
}

std::unique_ptr<Backend> open(std::map<std::string, Value> options = {}) {
  Value table{Value::Data(Value::Table{})};
  table.set("cuda", Value::boolean(true));
  for (const auto& [key, value] : options) table.set(key, value);
  return make_plug_in<Backend>(table);
}

class CudaBackendTest : public testing::Test {
 protected:
  void SetUp() override { simt::reset(); }
  void TearDown() override { simt::reset(); }
};

TEST_F(CudaBackendTest, SaysWhatTheBitsDependOn) {
  const auto backend = open();
  EXPECT_EQ(backend->name(), "cuda");
  EXPECT_TRUE(backend->describe().starts_with("cuda simulated GPU sm_90, driver 13.0")) << backend->describe();
  EXPECT_EQ(backend->order(), WorkOrder::by_instruction);
  EXPECT_EQ(backend->precisions().front(), Precision::bf16);
  EXPECT_FALSE(backend->device().is_host());
}

TEST_F(CudaBackendTest, RunsTasksInOrder) {
  const auto backend = open();
  std::string ran;
  backend->parallel(3, [&](int task, int worker) { ran += std::to_string(task) + ":" + std::to_string(worker) + " "; });
  EXPECT_EQ(ran, "0:0 1:0 2:0 ");
}

TEST_F(CudaBackendTest, HardwareIsToldApart) {
  simt::machine().devices = 2;
  const auto first = open({{"device", Value::integer(0)}})->identity(), second = open({{"device", Value::integer(1)}})->identity();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->name, "simulated GPU");
  EXPECT_EQ(first->uuid, "GPU-01010101-0101-0101-0101-010101010101");
  EXPECT_EQ(first->bus, "0000:01:00.0");
  EXPECT_EQ(first->host.size(), 36u);
  EXPECT_NE(first->uuid, second->uuid);
  EXPECT_NE(first->bus, second->bus);
  EXPECT_EQ(first->host, second->host);
}

TEST_F(CudaBackendTest, AnUnknownOpIsNamed) {
  expect_error(ErrorKind::run_file, "dream.forward: no cuda kernel in this build", [&] { open()->make({.op = "dream.forward"}); });
}

TEST_F(CudaBackendTest, WithoutADeviceOneLineSaysWhy) {
  const auto expect_none = [](const std::string& why, const Environment& environment = environment_of({})) {
    expect_error(ErrorKind::usage, "no cuda device: " + why, [&] { count_devices(environment); });
  };
  simt::machine().driver = 0;
  expect_none("no NVIDIA driver is installed");
  simt::machine().driver = 12020;
  simt::fail_call({.call = "cudaGetDeviceCount", .error = cudaErrorInsufficientDriver});
  expect_none("the driver is too old: expected one for CUDA 13.0, got one for CUDA 12.2");
  simt::machine().driver = 13000;
  simt::fail_call({.call = "cudaGetDeviceCount", .error = cudaErrorUnknown});
  expect_none("the driver does not start: unknown error");
  simt::machine().devices = 0;
  expect_none("the driver sees no GPU");
  expect_none("CUDA_VISIBLE_DEVICES=\"7\" hides them all", environment_of({{"CUDA_VISIBLE_DEVICES", "7"}}));
  expect_error(ErrorKind::usage, "no cuda device: ", [] { open(); });
}

TEST_F(CudaBackendTest, AnOldGpuIsRefused) {
  simt::machine().capability_major = 7;
  expect_error(ErrorKind::usage, "no cuda device: simulated GPU is too old: expected sm_80 or newer, got sm_70", [] { open(); });
}

TEST_F(CudaBackendTest, ARankTakesTheDeviceOfItsNumber) {
  EXPECT_EQ(choose_device(1, environment_of({{"OMPI_COMM_WORLD_LOCAL_RANK", "5"}})), 0);
  EXPECT_EQ(choose_device(8, environment_of({{"OMPI_COMM_WORLD_LOCAL_RANK", "5"}})), 5);
  EXPECT_EQ(choose_device(8, environment_of({{"MPI_LOCALRANKID", "3"}})), 3);
  EXPECT_EQ(choose_device(8, environment_of({{"SLURM_LOCALID", "2"}})), 2);
  EXPECT_EQ(choose_device(8, environment_of({})), 0);
  expect_error(ErrorKind::usage, "no cuda device: rank 2 of this host has none: it sees 2; start 2 ranks a host",
               [] { choose_device(2, environment_of({{"OMPI_COMM_WORLD_LOCAL_RANK", "2"}})); });
  expect_error(ErrorKind::usage, "no cuda device: number 1 is not there: this process sees 1", [] { open({{"device", Value::integer(1)}}); });
}

}  // namespace
}  // namespace lockstep::cuda
