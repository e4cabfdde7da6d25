#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/model/snapshot.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "launch/program.h"
#include "tests/support/sample_state.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::TemporaryDirectory;

struct Outcome {
  int code;
  std::string out, err;
};

Outcome run(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int code = run_program(arguments, out, err);
  return {code, out.str(), err.str()};
}

/// Two images of 2x2 and their labels as gzip-free IDX files, converted.
std::string convert_small(const TemporaryDirectory& directory) {
  std::ofstream(directory / "images", std::ios::binary)
      << std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02", 16) << std::string("\0\x0a\x14\x1e\x28\x32\x3c\x46", 8);
  std::ofstream(directory / "labels", std::ios::binary) << std::string("\0\0\x08\x01\0\0\0\x02", 8) << std::string("\0\x01", 2);
  const Outcome got = run({"convert", "idx", directory / "images", directory / "labels", directory / "out.h5"});
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_NE(got.out.find("images  [2, 2, 2, 1] u8\n"), std::string::npos) << got.out;
  return directory / "out.h5";
}

TEST(InspectCommandTest, ShowsWhatAConvertedFileHolds) {
  const TemporaryDirectory directory;
  const std::string file = convert_small(directory);
  const Outcome text = run({"inspect", file, "--values"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("[2, 2, 2, 1] u8"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("min 0  mean 35  max 70  not finite 0\n"), std::string::npos) << text.out;
  const auto json = nlohmann::json::parse(run({"inspect", file, "--json"}).out);
  EXPECT_EQ(json["kind"], "data file");
  EXPECT_EQ(json["bytes"], std::filesystem::file_size(file));
}

TEST(InspectCommandTest, ShowsACheckpointAndItsDigest) {
  const TemporaryDirectory directory;
  testing::SampleState state(3.0f);
  const auto visit = [&](StateVisitor& visitor) { state.visit(visitor); };
  const Snapshot snapshot(visit);
  save_checkpoint(directory / "c.h5", {.step = 3, .epoch = 1, .created_by = "test", .metrics = {{"validation.loss", 0.5}}}, snapshot);
  EXPECT_EQ(run({"inspect", directory / "c.h5", "--digest"}).out, snapshot.digest() + "\n");
  const Outcome text = run({"inspect", directory / "c.h5"});
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* part : {"step         3 (epoch 1)", "head.weight", "[3, 4] f32", "validation.loss 0.5"})
    EXPECT_NE(text.out.find(part), std::string::npos) << part << " in " << text.out;
  const auto json = nlohmann::json::parse(run({"inspect", directory / "c.h5", "--json"}).out);
  EXPECT_EQ(json["digest"], snapshot.digest());
  EXPECT_EQ(json["members"][0]["shape"], nlohmann::json({3, 4}));
}

TEST(InspectCommandTest, ShowsARunFile) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "run.toml") << "[train]\nepochs = 2\n";
  EXPECT_NE(run({"inspect", directory / "run.toml"}).out.find("epochs = 2"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(run({"inspect", directory / "run.toml", "--json"}).out)["run"]["train"]["epochs"], 2);
  const Outcome digest = run({"inspect", directory / "run.toml", "--digest"});
  EXPECT_EQ(digest.code, 64);
  EXPECT_NE(digest.err.find("--digest: expected a checkpoint, got \""), std::string::npos);
}

TEST(InspectCommandTest, WhatIsNotThereOrForeignIsOneLine) {
  const TemporaryDirectory directory;
  EXPECT_EQ(run({"inspect", directory / "no"}).code, 64);
  std::ofstream(directory / "junk.h5") << "no such format";
  const Outcome junk = run({"inspect", directory / "junk.h5"});
  EXPECT_EQ(junk.code, 65);
  EXPECT_NE(junk.err.find("junk.h5"), std::string::npos);
  EXPECT_EQ(std::count(junk.err.begin(), junk.err.end(), '\n'), 1);
}

TEST(ConvertCommandTest, RefusesUnknownFormatsAndKeepsAnExistingFile) {
  const TemporaryDirectory directory;
  const std::string file = convert_small(directory);
  const std::string before = read_text(file, 1 << 20);
  const Outcome again = run({"convert", "idx", directory / "images", directory / "labels", file});
  EXPECT_EQ(again.code, 64);
  EXPECT_EQ(read_text(file, 1 << 20), before);
  EXPECT_EQ(run({"convert", "idxx", "a", "b"}).err, "lockstep: convert: unknown format \"idxx\"; did you mean \"idx\"?\n");
  EXPECT_EQ(run({"convert"}).code, 64);
}

TEST(StatusCommandTest, AnswersByLineAndCode) {
  const TemporaryDirectory directory;
  const Outcome none = run({"status", directory.path().string()});
  EXPECT_EQ(none.code, 64);
  EXPECT_NE(none.err.find("holds no run"), std::string::npos);
  std::ofstream(directory / "run.toml") << "";
  const Outcome early = run({"status", directory.path().string()});
  EXPECT_EQ(early.code, 75);
  EXPECT_EQ(early.out, "start again: the run ended before its first step\n");
  EXPECT_EQ(run({"status"}).err, "lockstep: status: expected one run directory, got 0 arguments; see \"lockstep help status\"\n");
}

}  // namespace
}  // namespace lockstep
