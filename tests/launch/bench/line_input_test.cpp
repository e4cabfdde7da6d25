#include "launch/bench/line_input.h"

#include <unistd.h>

#include <array>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using State = LineInput::State;

class LineInputTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe(ends_.data()), 0); }
  void TearDown() override {
    ::close(ends_[0]);
    end();
  }
  void write(std::string_view text) { ASSERT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size())); }
  void end() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  int file() const { return ends_[0]; }

 private:
  std::array<int, 2> ends_{};
};

TEST_F(LineInputTest, LinesComeOneByOneAsTheyAreWritten) {
  LineInput input(file());
  EXPECT_EQ(input.read(0).state, State::waiting);
  write("12\n7");
  EXPECT_EQ(input.read(0).line, "12");
  EXPECT_EQ(input.read(0).state, State::waiting);
  write("3\n\n");
  EXPECT_EQ(input.read(-1).line, "73");
  const auto empty = input.read(0);
  EXPECT_EQ(empty.state, State::line);
  EXPECT_EQ(empty.line, "");
}

TEST_F(LineInputTest, WhatStandsBehindTheLastEndOfLineIsALineToo) {
  LineInput input(file());
  write("1\n25");
  end();
  EXPECT_EQ(input.read(-1).line, "1");
  EXPECT_EQ(input.read(-1).line, "25");
  EXPECT_EQ(input.read(-1).state, State::ended);
  EXPECT_EQ(input.read(-1).state, State::ended);
}

TEST_F(LineInputTest, AFileThatCannotBeReadIsAnError) {
  const int closed = ::dup(file());
  ::close(closed);
  LineInput input(closed);
  test::expect_error(ErrorKind::io, "standard input: Bad file descriptor", [&] { input.read(0); });
}

}  // namespace
}  // namespace lockstep
