// conv2d.* and dense.* as the program makes them, for a GPU that is described only.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/backend/cuda/register.h"
#include "core/backend/cuda/vendor/cudnn.h"
#include "core/backend/cuda/vendor/engine_choice.h"
#include "core/base/error.h"
#include "tests/core/backend/cuda/vendor/described_gpu.h"
#include "tests/support/temporary_directory.h"

namespace lockstep::cuda {
namespace {

OperandSpec activation(Role role, Shape shape, Dtype dtype) { return {role, {shape, dtype}, WriteMode::overwrite}; }

OpSpec conv(const std::string& pass, Dtype dtype, std::int64_t in, std::int64_t out, std::int64_t kernel, bool bias = false, std::int64_t lane = 16) {
  const std::int64_t pad = kernel / 2;
  OpSpec spec{.op = "conv2d." + pass, .layer = "c", .kind = pass == "backward_weights" ? PhaseKind::per_lane : PhaseKind::rows};
  const auto x = activation(Role::input, {7, 7, in}, dtype), y = activation(Role::output, {7, 7, out}, dtype);
  const OperandSpec w{Role::parameter, {{out, in, kernel, kernel}, Dtype::f32}}, b{Role::parameter, {{out}, Dtype::f32}};
  if (pass == "forward") spec.reads = {x, w}, spec.writes = {y};
  if (pass == "backward_data") spec.reads = {y, w}, spec.writes = {x};
  if (pass == "backward_weights") spec.reads = {x, y}, spec.writes = {w};
  if (bias) (pass == "forward" ? spec.reads : spec.writes).push_back(b);
  spec.attributes = {{"stride", std::vector<std::int64_t>{1, 1}}, {"padding", std::vector<std::int64_t>{pad, pad, pad, pad}}, {"groups", std::int64_t{1}}};
  spec.lane_rows = lane, spec.max_rows = 256;
  return spec;
}

std::unique_ptr<Kernel> make(const OpSpec& spec) { return kernels().at(spec.op)(spec); }

TEST(VendorKernelsTest, ImplementationNamesTheEngine) {
  const test::PlanFor gpu(90);
  const auto forward = make(conv("forward", Dtype::bf16, 64, 64, 3));
  EXPECT_EQ(forward->implementation().rfind("cudnn fprop engine ", 0), 0u) << forward->implementation();
  EXPECT_EQ(make(conv("backward_data", Dtype::bf16, 64, 64, 3))->implementation().rfind("cudnn dgrad engine ", 0), 0u);
  const std::string true_f32 = make(conv("forward", Dtype::f32, 64, 64, 3))->implementation();
  EXPECT_NE(true_f32.find("(no tensor cores)"), std::string::npos) << true_f32;
  OpSpec tf32 = conv("forward", Dtype::f32, 64, 64, 3);
  tf32.attributes.set("tf32", std::int64_t{1});
  EXPECT_EQ(make(tf32)->implementation().find("(no tensor cores)"), std::string::npos);
  EXPECT_FALSE(forward->rows_are_independent());
  EXPECT_FALSE(forward->takes_lanes());
}

TEST(VendorKernelsTest, TheEngineDoesNotDependOnTheRowsOfARank) {
  const test::PlanFor gpu(90);
  for (const char* pass : {"forward", "backward_data"})
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
      OpSpec spec = conv(pass, dtype, 48, 56, 3, false, 2);
      const std::string all = make(spec)->implementation();
      for (const std::int64_t most : {2, 4, 32, 4096}) {
        spec.max_rows = most;
        EXPECT_EQ(make(spec)->implementation(), all) << pass << " " << most;
      }
    }
}

/// The first layer of a ResNet in a batch of 1024: its engines' workspaces grow with the batch.
TEST(VendorKernelsTest, LargeBatchesOfLargeImagesKeepTheTensorCores) {
  const test::PlanFor gpu(90);
  for (const char* pass : {"forward", "backward_weights"})
    for (const std::int64_t lane : {64, 1024}) {
      OpSpec spec = conv(pass, Dtype::bf16, 3, 64, 7, false, lane);
      spec.reads[0].spec.shape = {224, 224, 3};
      (spec.writes[0].role == Role::output ? spec.writes[0] : spec.reads[1]).spec.shape = {112, 112, 64};
      spec.attributes.set("stride", std::vector<std::int64_t>{2, 2});
      spec.max_rows = 1024;
      const std::string engine = make(spec)->implementation();
      EXPECT_EQ(engine.find("(no tensor cores)"), std::string::npos) << pass << " " << lane << ": " << engine;
    }
}

TEST(VendorKernelsTest, WeightsArePackedAndGradientsUnpackedWhereTheLayoutsDiffer) {
  const test::PlanFor gpu(90);
  const auto bf16 = make(conv("forward", Dtype::bf16, 16, 8, 3, true));
  EXPECT_EQ(bf16->packed_bytes(1), 8u * 16 * 9 * 2);
  EXPECT_EQ(bf16->packed_bytes(2), 8u * 2);
  EXPECT_EQ(bf16->packed_bytes(0), 0u);
  const auto f32 = make(conv("forward", Dtype::f32, 16, 8, 3, true));
  EXPECT_EQ(f32->packed_bytes(1), 8u * 16 * 9 * 4);
  EXPECT_EQ(f32->packed_bytes(2), 0u);
  EXPECT_EQ(make(conv("forward", Dtype::f32, 16, 8, 1))->packed_bytes(1), 0u);
  const auto weights = make(conv("backward_weights", Dtype::f32, 16, 8, 3, true));
  EXPECT_EQ(weights->slot_elements(0), 8 * 16 * 9);
  EXPECT_EQ(weights->slot_elements(1), 0);
  EXPECT_EQ(weights->packed_bytes(0), 0u);
  EXPECT_EQ(make(conv("backward_weights", Dtype::f32, 16, 8, 1))->slot_elements(0), 0);
}

/// Five channels of bf16 and one row a lane: rows begin at odd multiples of 490 bytes, so room for aligned copies of a piece is kept.
TEST(VendorKernelsTest, WorkspaceHasRoomForAlignedCopiesWhereRowsAreUneven) {
  const test::PlanFor gpu(90);
  const std::size_t even = make(conv("forward", Dtype::bf16, 5, 5, 3, false, 8))->workspace_bytes();
  const std::size_t uneven = make(conv("forward", Dtype::bf16, 5, 5, 3, false, 1))->workspace_bytes();
  EXPECT_GE(uneven, even + 2 * 16 * 490);
}

/// A weight gradient of bf16 is compiled: a second or so.
TEST(VendorKernelsTest, WhatWasCompiledIsLoadedTheNextTimeAndCompiledAnewWhereItIsRefused) {
  const testing::TemporaryDirectory folder;
  const OpSpec spec = conv("backward_weights", Dtype::bf16, 64, 64, 3);
  std::string made, kept;
  {
    const test::PlanFor gpu(90, folder / "first");
    made = make(spec)->implementation();
    ASSERT_NE(made.find("compiled"), std::string::npos) << made;
    EXPECT_EQ(plan_store().compiled(), 1);
    plan_store().keep();
    kept = plan_store().kept_path();
  }
  std::filesystem::create_directory(folder / "carried");
  std::filesystem::copy(kept, folder / "carried/plans.json");
  {
    const test::PlanFor gpu(90, folder / "second", folder / "carried");
    EXPECT_EQ(make(spec)->implementation(), made);
    EXPECT_EQ(plan_store().compiled(), 0);
    EXPECT_EQ(plan_store().loaded(), 1);
    EXPECT_TRUE(plan_store().take_notes().empty());
  }
  PlanFile damaged = *PlanFile::read(kept);
  ASSERT_EQ(damaged.plans.size(), 1u);
  damaged.plans.begin()->second.resize(400);
  std::ofstream(folder / "carried/plans.json") << damaged.text();
  const test::PlanFor gpu(90, folder / "third", folder / "carried");
  EXPECT_EQ(make(spec)->implementation(), made);
  EXPECT_EQ(plan_store().compiled(), 1);
  const auto notes = plan_store().take_notes();
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].rfind("cudnn: 1 of 1 stored plans were refused and built anew: ", 0), 0u) << notes[0];
  EXPECT_GT(notes[0].size(), 60u) << notes[0];
}

TEST(VendorKernelsTest, AStoredEngineIsTakenAndOneThatNoLongerServesIsPassedOver) {
  const testing::TemporaryDirectory folder;
  const std::string key = "forward f16 7x7x40 7x7x40 3x3/1x1 pad 1,1,1,1 groups 1 lane 16";
  const OpSpec spec = conv("forward", Dtype::f16, 40, 40, 3);
  std::string usual;
  {
    const test::PlanFor gpu(90, folder / "usual");
    usual = *(make(spec), plan_store().engine(key));
  }
  const test::PlanFor gpu(90, folder / "other");
  std::string second;
  for (const auto& facts : ConvolutionPlan::candidates(plan_target(),
                                                       {.geometry = {.in = 40, .out = 40, .input = {7, 7}, .output = {7, 7}, .kernel = {3, 3}, .pad_low = {1, 1}, .pad_high = {1, 1}},
                                                        .dtype = Dtype::f16},
                                                       {256, 16, 1}, std::size_t{1} << 30, 5))
    if (facts.choice.text() != usual) second = facts.choice.text();
  ASSERT_FALSE(second.empty());
  plan_store().put_engine(key, second);
  make(spec);
  EXPECT_NE(plan_store().used().find('"' + second + '"'), std::string::npos) << plan_store().used();
  plan_store().put_engine(key, "9999");
  make(spec);
  EXPECT_NE(plan_store().used().find('"' + usual + '"'), std::string::npos) << plan_store().used();
  EXPECT_EQ(plan_store().take_notes(), std::vector<std::string>{"cudnn: 1 of 1 stored plans were refused and built anew: engine 9999 does not serve"});
}

TEST(VendorKernelsTest, EnginesAreNamedWithoutCompilingThem) {
  const test::PlanFor gpu(90, "/nowhere");
  vendor_options().compile = false;
  EXPECT_NE(make(conv("backward_weights", Dtype::bf16, 32, 96, 3))->implementation().find("compiled"), std::string::npos);
  EXPECT_EQ(plan_store().compiled(), 0);
}

TEST(VendorKernelsTest, DenseLayersPackWhatIsNotF32) {
  const test::PlanFor gpu(90);
  OpSpec spec{.op = "dense.forward", .layer = "d", .kind = PhaseKind::rows};
  spec.lane_rows = 16, spec.max_rows = 256;
  const OperandSpec w{Role::parameter, {{10, 128}, Dtype::f32}}, b{Role::parameter, {{10}, Dtype::f32}};
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    spec.reads = {activation(Role::input, {128}, dtype), w, b}, spec.writes = {activation(Role::output, {10}, dtype)};
    const auto dense = make(spec);
    EXPECT_EQ(dense->implementation(), "cublaslt");
    EXPECT_EQ(dense->packed_bytes(1), dtype == Dtype::f32 ? 0u : 2560u);
    EXPECT_EQ(dense->packed_bytes(2), 10u * size_of(dtype));
    EXPECT_FALSE(dense->rows_are_independent());
  }
}

TEST(VendorKernelsTest, VersionsOfTheLibrariesAreKnown) {
  ASSERT_EQ(vendor_versions().count("cudnn"), 1u);
  EXPECT_EQ(vendor_versions().at("cudnn")().rfind("9.", 0), 0u);
  ASSERT_EQ(vendor_versions().count("cublaslt"), 1u);
  EXPECT_GE(vendor_versions().at("cublaslt")().size(), 6u);
}

}  // namespace
}  // namespace lockstep::cuda
