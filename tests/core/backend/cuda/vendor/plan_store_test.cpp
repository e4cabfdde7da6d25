#include "core/backend/cuda/vendor/plan_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/error.h"
#include "tests/support/temporary_directory.h"

namespace lockstep::cuda {
namespace {

using lockstep::testing::TemporaryDirectory;
namespace fs = std::filesystem;

const PlanDevice kGpu{.gpu = "NVIDIA H200", .cudnn = "9.19.0", .driver = 13000};

std::vector<std::uint8_t> bytes(std::size_t size) {
  std::vector<std::uint8_t> made(size);
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::uint8_t>(i * 37 + 250);
  return made;
}

void write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

PlanFile file_of(PlanDevice device, const std::string& engine) {
  return {.device = std::move(device), .engines = {{"p", {.engine = engine}}}, .plans = {{"p " + engine, to_base64(bytes(9))}}};
}

TEST(PlanFileTest, BytesOfAnyLengthSurviveTheirText) {
  for (std::size_t size = 0; size < 70; ++size) EXPECT_EQ(from_base64(to_base64(bytes(size))), bytes(size));
  EXPECT_TRUE(from_base64("AB!C").empty());
}

TEST(PlanFileTest, NamesAreOneAGpuDriverAndVersion) {
  EXPECT_EQ(kGpu.file_name(), "NVIDIA-H200-cudnn-9.19.0-driver-13.0.json");
  EXPECT_EQ((PlanDevice{.gpu = "NVIDIA H100 80GB HBM3", .cudnn = "9.20.1"}.file_name()), "NVIDIA-H100-80GB-HBM3-cudnn-9.20.1.json");
}

TEST(PlanStoreTest, WhatIsKeptComesBackOnTheSameGpuWithTheSameDriverAndLibrary) {
  const TemporaryDirectory folder;
  const PlanStore::Places places{.kept = folder / "cache/plans"};
  PlanStore first(places, kGpu);
  first.put_engine("p", "62:11=1", 41.5);
  first.put_plan("p engine 62:11=1 rows 16", bytes(100));
  EXPECT_FALSE(fs::exists(folder / "cache"));
  first.keep();
  EXPECT_TRUE(first.take_notes().empty());
  EXPECT_EQ(first.kept_path(), folder / "cache/plans/NVIDIA-H200-cudnn-9.19.0-driver-13.0.json");
  const PlanStore again(places, kGpu);
  EXPECT_EQ(again.engine("p"), "62:11=1");
  EXPECT_EQ(again.plan("p engine 62:11=1 rows 16"), bytes(100));
  EXPECT_FALSE(again.engine("q"));
  EXPECT_FALSE(again.plan("q"));
  for (const auto& other : {PlanDevice{"NVIDIA H100", "9.19.0", 13000}, PlanDevice{"NVIDIA H200", "9.20.0", 13000}, PlanDevice{"NVIDIA H200", "9.19.0", 13010}}) {
    EXPECT_FALSE(PlanStore(places, other).engine("p")) << other.text();
    EXPECT_FALSE(PlanStore({.kept = first.kept_path()}, other).engine("p")) << other.text();
  }
}

TEST(PlanStoreTest, TwoThatKeepAreMerged) {
  const TemporaryDirectory folder;
  PlanStore first({.kept = folder / "a"}, kGpu), second({.kept = folder / "a"}, kGpu);
  first.put_engine("p", "1");
  second.put_engine("q", "2");
  first.keep();
  second.keep();
  const PlanStore both({.kept = folder / "a"}, kGpu);
  EXPECT_EQ(both.engine("p"), "1");
  EXPECT_EQ(both.engine("q"), "2");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "a"), {}), 1);
}

TEST(PlanStoreTest, CarriedPlansServeWhicheverDriverAndKeptOnesGoFirst) {
  const TemporaryDirectory folder;
  const PlanStore::Places places{.kept = folder / "kept", .carried = folder / "carried"};
  write(folder / "carried/a.json", file_of({"NVIDIA H200", "9.19.0"}, "1").text());
  write(folder / "carried/b.json", file_of({"NVIDIA H100", "9.19.0"}, "2").text());
  write(folder / "carried/c.json", file_of({"NVIDIA H200", "9.20.0"}, "3").text());
  write(folder / "carried/d.txt", file_of({"NVIDIA H200", "9.19.0"}, "4").text());
  EXPECT_EQ(PlanStore(places, kGpu).engine("p"), "1");
  EXPECT_EQ(PlanStore(places, kGpu).plan("p 1"), bytes(9));
  PlanStore store(places, kGpu);
  store.put_engine("p", "5");
  EXPECT_EQ(store.engine("p"), "5");
  store.keep();
  EXPECT_EQ(PlanStore(places, kGpu).engine("p"), "5");
  EXPECT_EQ(PlanStore(places, kGpu).plan("p 1"), bytes(9));
}

TEST(PlanStoreTest, ADamagedFileCountsAsEmptyAndIsReplaced) {
  const TemporaryDirectory folder;
  const std::string path = folder / "plans.json";
  const std::string head = R"({"format": 2, "gpu": "NVIDIA H200", "cudnn": "9.19.0", "driver": 13000, )";
  for (const std::string& text : {std::string(), std::string("{"), std::string("[1, 2]"), std::string(R"({"format": 1, "engines": {"p": {"engine": "5"}}})"),
                                  head + R"("engines": 3})", head + R"("engines": {"p": {"engine": 5}, "q": 3}, "plans": {"p": 7}})", head + R"("plans": []})"}) {
    write(path, text);
    PlanStore store({.kept = path, .carried = folder / ""}, kGpu);
    EXPECT_FALSE(store.engine("p")) << text;
    EXPECT_FALSE(store.plan("p")) << text;
    store.put_engine("p", "9");
    store.keep();
    EXPECT_TRUE(store.take_notes().empty());
    EXPECT_EQ(PlanStore({.kept = path}, kGpu).engine("p"), "9") << text;
  }
}

TEST(PlanStoreTest, WhatCannotBeKeptIsOneNote) {
  const TemporaryDirectory folder;
  write(folder / "file", "");
  write(folder / "other.json", file_of({"NVIDIA H100", "9.19.0", 13000}, "1").text());
  const auto note = [](const std::string& kept) {
    PlanStore store({.kept = kept}, kGpu);
    store.keep();
    EXPECT_TRUE(store.take_notes().empty());  // nothing was made
    store.put_engine("p", "1");
    store.keep();
    store.keep();
    const auto notes = store.take_notes();
    EXPECT_TRUE(store.take_notes().empty());
    EXPECT_EQ(store.engine("p"), "1");
    return notes.size() == 1 ? notes[0] : fmt::format("{} notes", notes.size());
  };
  EXPECT_EQ(note(""), "cudnn: plans are not kept for the next start: no folder is known: set HOME, XDG_CACHE_HOME or LOCKSTEP_CUDA_PLANS");
  EXPECT_EQ(note(folder / "file/a"),
            "cudnn: plans are not kept for the next start: \"" + (folder / "file/a/NVIDIA-H200-cudnn-9.19.0-driver-13.0.json") + "\": Not a directory");
  EXPECT_EQ(note(folder / "other.json"),
            "cudnn: plans are not kept for the next start: \"" + (folder / "other.json") + "\": it is for NVIDIA H100, cudnn 9.19.0, driver 13.0");
  EXPECT_EQ(PlanFile::read(folder / "other.json")->engines.at("p").engine, "1");
}

TEST(PlanStoreTest, RefusalsAreCountedInOneNote) {
  PlanStore store({}, kGpu);
  store.tried("");
  store.tried("CUDNN_STATUS_BAD_PARAM");
  store.tried("another");
  EXPECT_EQ(store.take_notes(), std::vector<std::string>{"cudnn: 2 of 3 stored plans were refused and built anew: CUDNN_STATUS_BAD_PARAM"});
  EXPECT_TRUE(store.take_notes().empty());
}

/// Two ranks whose machines keep different engines.
TEST(PlanStoreTest, AnotherRanksKnowledgeReplacesTheOwn) {
  const TemporaryDirectory folder;
  PlanStore zero({.kept = folder / "zero"}, kGpu), one({.kept = folder / "one"}, kGpu);
  zero.put_engine("p", "1");
  zero.put_plan("p 1", bytes(5));
  one.put_engine("p", "2");
  one.put_engine("q", "3");
  one.put_plan("q 3", bytes(6));
  one.keep();
  PlanStore later({.kept = folder / "one"}, kGpu);
  for (PlanStore* rank : {&one, &later}) {
    rank->replace(zero.known());
    EXPECT_EQ(rank->engine("p"), "1");
    EXPECT_FALSE(rank->engine("q"));  // it is made anew, by both alike
    EXPECT_EQ(rank->plan("p 1"), bytes(5));
    EXPECT_EQ(rank->plan("q 3"), bytes(6));  // and may be there already
  }
  zero.use("p", "1");
  one.use("p", "1");
  EXPECT_EQ(zero.used(), one.used());
  one.use("p", "2");
  EXPECT_NE(zero.used(), one.used());
}

TEST(PlanStoreTest, ARunGoesOnWithTheEnginesThatItBeganWith) {
  const TemporaryDirectory folder;
  PlanStore before({}, kGpu);
  before.use("p", "1");
  PlanStore now({}, {.gpu = kGpu.gpu, .cudnn = kGpu.cudnn, .driver = 13010});
  now.put_engine("p", "2");
  now.put_engine("q", "3");
  now.prefer(before.used());
  EXPECT_EQ(now.engine("p"), "1");
  EXPECT_EQ(now.engine("q"), "3");
  PlanStore other({}, {.gpu = kGpu.gpu, .cudnn = "9.20.0", .driver = 13000});
  other.put_engine("p", "2");
  other.prefer(before.used());
  EXPECT_EQ(other.engine("p"), "2");
  for (const char* damaged : {"", "{", "[]"}) other.prefer(damaged);
  EXPECT_EQ(other.engine("p"), "2");
}

}  // namespace
}  // namespace lockstep::cuda
