#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "launch/callbacks/metrics_csv.h"
#include "launch/callbacks/metrics_jsonl.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::TemporaryDirectory;

constexpr std::int64_t kStepsPerEpoch = 4;

/// Steps (from, to] of a run whose numbers are a function of the step; wall times are not.
void train(Callback& callback, std::int64_t from, std::int64_t to, double wall) {
  LoopRequest request;
  for (std::int64_t step = from + 1; step <= to; ++step) {
    const std::int64_t epoch = (step - 1) / kStepsPerEpoch;
    callback.on_step_end({.step = step,
                          .total_steps = 12,
                          .epoch = epoch,
                          .samples = 32,
                          .loss = 1.0 / static_cast<double>(step),
                          .learning_rate = 0.1,
                          .momentum = 0.9,
                          .gradient_norm = std::sqrt(static_cast<double>(step)),
                          .step_seconds = wall,
                          .input_seconds = wall / 3},
                         request);
    if (step % kStepsPerEpoch == 0)
      callback.on_epoch_end({.step = step,
                             .total_steps = 12,
                             .epoch = epoch,
                             .metrics = {{"train.loss", 0.1 * static_cast<double>(step)}},
                             .seconds = wall,
                             .samples = 128},
                            request);
  }
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream text(read_text(path, 1 << 20));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::string without_wall_columns(const std::string& path) {
  std::string result;
  for (std::string line : lines_of(path)) {
    for (int i = 0; i < 2; ++i) line.resize(line.rfind(','));
    result += line + "\n";
  }
  return result;
}

std::string without_wall_member(const std::string& path) {
  std::string result;
  for (const std::string& line : lines_of(path)) {
    auto json = nlohmann::ordered_json::parse(line);
    json.erase("wall");
    result += json.dump() + "\n";
  }
  return result;
}

TEST(MetricsCsvTest, HasFixedColumnsAndNumbersThatReadBack) {
  const TemporaryDirectory directory;
  {
    MetricsCsv csv({.path = directory / "m.csv", .metrics = {"train.loss"}});
    train(csv, 0, 4, 0.5);
  }
  const auto lines = lines_of(directory / "m.csv");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "step,epoch,event,loss,learning_rate,momentum,gradient_norm,samples,updated,loss_scale,train.loss,seconds,input_seconds");
  EXPECT_EQ(lines[3], "3,0,step,0.3333333333333333,0.1,0.9,1.7320508075688772,32,1,1,,0.5,0.16666666666666666");
  EXPECT_EQ(lines[5], "4,0,epoch,,,,,128,,,0.4,0.5,");
  EXPECT_EQ(std::strtod(lines[3].c_str() + 9, nullptr), 1.0 / 3);
}

TEST(MetricsCsvTest, AResumedRunLeavesTheFileOfAnUndisturbedOne) {
  const TemporaryDirectory directory;
  {
    MetricsCsv straight({.path = directory / "a.csv", .metrics = {"train.loss"}});
    train(straight, 0, 12, 0.25);
  }
  for (const std::int64_t checkpoint : {1, 4, 5, 8}) {
    {
      MetricsCsv killed({.path = directory / "b.csv", .metrics = {"train.loss"}});
      train(killed, 0, 10, 0.5);
    }
    std::ofstream(directory / "b.csv", std::ios::app) << "11,2,st";
    {
      MetricsCsv resumed({.path = directory / "b.csv", .metrics = {"train.loss"}, .resumed_step = checkpoint});
      train(resumed, checkpoint, 12, 0.75);
    }
    EXPECT_EQ(without_wall_columns(directory / "b.csv"), without_wall_columns(directory / "a.csv")) << checkpoint;
  }
}

TEST(MetricsCsvTest, ANewRunStartsFromAnEmptyFileAndAResumedOneKeepsItsColumns) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "m.csv") << "step,other\n1,x\n";
  { MetricsCsv again({.path = directory / "m.csv", .resumed_step = 1}); }
  EXPECT_EQ(read_text(directory / "m.csv", 1000), "step,other\n1,x\n");
  { MetricsCsv fresh({.path = directory / "m.csv"}); }
  EXPECT_EQ(lines_of(directory / "m.csv").size(), 1u);
  EXPECT_EQ(lines_of(directory / "m.csv")[0].rfind("step,epoch,event,", 0), 0u);
}

TEST(MetricsCsvTest, AFileThatCannotBeOpenedIsNamed) {
  const TemporaryDirectory directory;
  try {
    MetricsCsv csv({.path = directory / "no/m.csv"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_NE(std::string(error.what()).find("no/m.csv\": cannot open: No such file"), std::string::npos) << error.what();
  }
}

TEST(MetricsCsvTest, AFullDiskIsAnError) {
  MetricsCsv* csv = nullptr;
  try {
    MetricsCsv made({.path = "/dev/full"});
    csv = &made;
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_NE(std::string(error.what()).find("/dev/full"), std::string::npos);
  }
  EXPECT_EQ(csv, nullptr);
}

TEST(MetricsJsonlTest, AResumedRunLeavesTheFileOfAnUndisturbedOne) {
  const TemporaryDirectory directory;
  {
    MetricsJsonl straight({.path = directory / "a.jsonl"});
    train(straight, 0, 12, 0.25);
  }
  for (const std::int64_t checkpoint : {1, 4, 5, 8}) {
    {
      MetricsJsonl killed({.path = directory / "b.jsonl"});
      train(killed, 0, 10, 0.5);
    }
    std::ofstream(directory / "b.jsonl", std::ios::app) << "{\"step\":11,\"ep";
    {
      MetricsJsonl resumed({.path = directory / "b.jsonl", .resumed_step = checkpoint});
      train(resumed, checkpoint, 12, 0.75);
    }
    EXPECT_EQ(without_wall_member(directory / "b.jsonl"), without_wall_member(directory / "a.jsonl")) << checkpoint;
  }
}

TEST(MetricsJsonlTest, WritesEachLineAtOnceAndNullForNoNumber) {
  const TemporaryDirectory directory;
  MetricsJsonl jsonl({.path = directory / "m.jsonl"});
  LoopRequest request;
  jsonl.on_step_end({.step = 1, .loss = NAN, .learning_rate = 0.5}, request);
  // Read while the writer lives: nothing waits in a buffer.
  const auto lines = lines_of(directory / "m.jsonl");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].rfind("{\"step\":1,\"epoch\":0,\"event\":\"step\",\"loss\":null,\"learning_rate\":0.5,", 0), 0u) << lines[0];
}

}  // namespace
}  // namespace lockstep
