#include "core/backend/cpu/cpu_backend.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/base/registry.h"

namespace lockstep::cpu {
namespace {

std::unique_ptr<Backend> make_backend(std::int64_t threads) {
  Value table;
  table.set("cpu", Value::boolean(true));
  table.set("threads", Value::integer(threads));
  return make_plug_in<Backend>(table);
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(CpuBackendTest, RunsEveryTaskOnceInContiguousRuns) {
  for (int threads : {1, 2, 3, 5}) {
    auto backend = make_backend(threads);
    EXPECT_EQ(backend->workers(), threads);
    for (int tasks : {0, 1, 2, 7, 16}) {
      for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<int> worker_of(static_cast<std::size_t>(tasks), -1);
        backend->parallel(tasks, [&](int task, int worker) { worker_of[static_cast<std::size_t>(task)] = worker; });
        for (int task = 0; task < tasks; ++task) {
          const int worker = worker_of[static_cast<std::size_t>(task)];
          ASSERT_GE(worker, task ? worker_of[static_cast<std::size_t>(task - 1)] : 0);
          ASSERT_LT(worker, threads);
        }
      }
    }
  }
}

TEST(CpuBackendTest, TheFirstExceptionOfATaskIsRethrownAndThePoolGoesOn) {
  auto backend = make_backend(3);
  const auto failing = [&] {
    backend->parallel(9, [](int task, int) {
      if (task >= 4) fail(ErrorKind::content, "task {}", task);
    });
  };
  EXPECT_EQ(message_of(failing), "task 4");
  std::atomic<int> done = 0;
  backend->parallel(9, [&](int, int) { ++done; });
  EXPECT_EQ(done, 9);
}

TEST(CpuBackendTest, EveryWorkerHasOneOpenMpThreadAndFlushesDenormals) {
  auto backend = make_backend(3);
  std::vector<int> threads(3);
  std::vector<float> halves(3);
  backend->parallel(3, [&](int task, int) {
    volatile float least = 1.17549435e-38f;
    threads[static_cast<std::size_t>(task)] = omp_get_max_threads();
    halves[static_cast<std::size_t>(task)] = least * 0.5f;
  });
  EXPECT_EQ(threads, (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(halves, (std::vector<float>{0, 0, 0}));
}

TEST(CpuBackendTest, DescribesWhatTheBitsDependOn) {
  const std::string text = make_backend(1)->describe();
  EXPECT_NE(text.find(std::string("cpu ") + simd_level_name() + ", oneDNN "), std::string::npos) << text;
  const bool fast = text.find("_amx") != std::string::npos || (text.find("_bf16") != std::string::npos && __builtin_cpu_is("amd"));
  using Precisions = std::vector<Precision>;
  EXPECT_EQ(make_backend(1)->precisions(), fast ? (Precisions{Precision::bf16, Precision::f32}) : (Precisions{Precision::f32, Precision::bf16})) << text;
}

TEST(CpuBackendTest, RefusesNoThreadsAndUnknownOps) {
  EXPECT_NE(message_of([] { make_backend(0); }).find("threads"), std::string::npos);
  OpSpec spec;
  spec.op = "conv4d.forward";
  EXPECT_EQ(message_of([&] { make_backend(1)->make(spec); }).substr(0, 43), "conv4d.forward: no cpu kernel in this build");
}

TEST(CpuBackendTest, ASimpleKernelSeesItsSpecAndItsCall) {
  const MakeKernel make = simple_kernel(
      [](const OpSpec& spec, const KernelCall& call) {
        for (std::int64_t i = 0; i < call.rows; ++i)
          static_cast<float*>(call.writes[0])[i] =
              static_cast<const float*>(call.reads[0])[i] * static_cast<float>(spec.attributes.real("factor"));
      },
      [](const OpSpec&) { return std::size_t{48}; });
  OpSpec spec;
  spec.attributes.set("factor", 2.0);
  const auto kernel = make(spec);
  const float in[2] = {1, 3};
  float out[2] = {};
  const void* reads[] = {in};
  void* writes[] = {out};
  kernel->run({.reads = reads, .writes = writes, .rows = 2});
  EXPECT_EQ(kernel->workspace_bytes(), 48u);
  EXPECT_EQ(out[0], 2);
  EXPECT_EQ(out[1], 6);
}

TEST(SimdTest, DispatchGivesTheBodysResult) {
  std::vector<float> x(37), y(37);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const float* in = x.data();
  float* out = y.data();
  dispatch([=]() LOCKSTEP_INLINE {
    for (int i = 0; i < 37; ++i) out[i] = __builtin_fmaf(in[i], 2.0f, 1.0f);
  });
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], 2 * x[i] + 1);
}

}  // namespace
}  // namespace lockstep::cpu
