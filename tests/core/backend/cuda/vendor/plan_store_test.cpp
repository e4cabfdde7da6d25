#include "core/backend/cuda/vendor/plan_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "tests/support/temporary_directory.h"

namespace lockstep::cuda {
namespace {

std::vector<std::uint8_t> bytes(std::size_t size) {
  std::vector<std::uint8_t> made(size);
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::uint8_t>(i * 37 + 250);
  return made;
}

TEST(PlanStoreTest, ChoicesComeBackForTheSameDeviceAlone) {
  const testing::TemporaryDirectory folder;
  const std::string path = (folder.path() / "plans.json").string();
  for (std::size_t size = 0; size < 6; ++size) {
    PlanStore store(path, "a gpu");
    store.put("p" + std::to_string(size), {.engine = "62:11=1", .microseconds = 41.5, .plans = {{16, bytes(size)}, {3, bytes(size + 60)}}});
  }
  PlanStore(path, "another").put("p0", {.engine = "7"});
  const PlanStore store(path, "a gpu");
  for (std::size_t size = 0; size < 6; ++size) {
    const auto found = store.find("p" + std::to_string(size));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->engine, "62:11=1");
    EXPECT_EQ(found->microseconds, 41.5);
    EXPECT_EQ(found->plans.at(16), bytes(size));
    EXPECT_EQ(found->plans.at(3), bytes(size + 60));
  }
  EXPECT_FALSE(store.find("p6"));
  EXPECT_EQ(PlanStore(path, "another").find("p0")->engine, "7");
  EXPECT_FALSE(PlanStore(path, "a third").find("p0"));
}

TEST(PlanStoreTest, WithoutAPathNothingIsWritten) {
  PlanStore store("", "a gpu");
  store.put("p", {.engine = "1"});
  EXPECT_EQ(store.find("p")->engine, "1");
  EXPECT_FALSE(store.writable());
}

TEST(PlanStoreTest, ADamagedFileCountsAsEmptyAndIsReplaced) {
  const testing::TemporaryDirectory folder;
  const std::string path = (folder.path() / "plans.json").string();
  for (const char* text : {"", "{", "[1, 2]", "{\"format\": 2, \"choices\": {\"a gpu\": {\"p\": {\"engine\": \"5\"}}}}", "{\"format\": 1, \"choices\": 3}",
                           "{\"format\": 1, \"choices\": {\"a gpu\": {\"p\": {\"engine\": 5}, \"q\": 3}}}", "{\"format\": 1, \"choices\": {\"a gpu\": []}}"}) {
    std::ofstream(path) << text;
    PlanStore store(path, "a gpu");
    EXPECT_FALSE(store.find("p")) << text;
    store.put("p", {.engine = "9"});
    EXPECT_EQ(PlanStore(path, "a gpu").find("p")->engine, "9") << text;
  }
}

TEST(PlanStoreTest, ADamagedPlanIsAnEmptyOne) {
  const testing::TemporaryDirectory folder;
  const std::string path = (folder.path() / "plans.json").string();
  std::ofstream(path) << R"({"format": 1, "choices": {"a gpu": {"p": {"engine": "5", "plans": {"16": "AB!C", "3": 7}}}}})";
  const auto found = PlanStore(path, "a gpu").find("p");
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->plans.at(16).empty());
  EXPECT_EQ(found->plans.count(3), 0u);
}

TEST(PlanStoreTest, WhatCannotBeWrittenIsSaid) {
  PlanStore store("/nowhere/at/all/plans.json", "a gpu");
  try {
    store.put("p", {.engine = "1"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "cuda: plans: cannot write \"/nowhere/at/all/plans.json\": write failed");
  }
}

}  // namespace
}  // namespace lockstep::cuda
