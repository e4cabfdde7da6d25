#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "launch/logging.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

TEST(LogTest, LinesCarryTimeLevelHostAndRank) {
  const testing::TemporaryDirectory directory;
  std::vector<std::string> warned;
  {
    Log log({.file = directory / "log.txt", .rank = 2, .warn = [&](std::string_view text) { warned.emplace_back(text); }});
    log.info("100 % {} done");
    log.warn("one \"node\" is slow");
  }
  const std::string text = read_text(directory / "log.txt", 10000);
  const std::regex form(
      "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z info \\[[^\\]]+:2\\] 100 % \\{\\} done\n"
      "[^ ]+ warning \\[[^\\]]+:2\\] one \"node\" is slow\n");
  EXPECT_TRUE(std::regex_match(text, form)) << text;
  EXPECT_EQ(warned, std::vector<std::string>{"one \"node\" is slow"});
}

TEST(LogTest, IsAppendedToWhenTheRunGoesOn) {
  const testing::TemporaryDirectory directory;
  Log({.file = directory / "log.txt"}).info("first");
  Log({.file = directory / "log.txt"}).info("second");
  const std::string text = read_text(directory / "log.txt", 10000);
  EXPECT_LT(text.find("first"), text.find("second"));
  EXPECT_NE(text.find("second"), std::string::npos);
}

TEST(LogTest, AFileThatCannotBeOpenedIsNamed) {
  const testing::TemporaryDirectory directory;
  try {
    Log log({.file = directory.path().string()});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_NE(std::string(error.what()).find("cannot open the log"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lockstep
