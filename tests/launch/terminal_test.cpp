#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launch/terminal.h"

namespace lockstep {
namespace {

TEST(TerminalTest, ABarIsDrawnOnlyWhereColumnsAreKnown) {
  EXPECT_EQ(choose_progress(ProgressMode::automatic, {.is_tty = true, .columns = 132, .term = "xterm"}), ProgressMode::bar);
  // Open MPI's pseudo-terminal while mpirun writes to a file.
  EXPECT_EQ(choose_progress(ProgressMode::automatic, {.is_tty = true, .columns = 0, .term = "xterm"}), ProgressMode::plain);
  EXPECT_EQ(choose_progress(ProgressMode::automatic, {.is_tty = true, .columns = 80, .term = "dumb"}), ProgressMode::plain);
  EXPECT_EQ(choose_progress(ProgressMode::automatic, {.is_tty = false, .columns = 0, .term = "xterm"}), ProgressMode::plain);
}

TEST(TerminalTest, WhatIsAskedForStays) {
  for (const ProgressMode mode : {ProgressMode::bar, ProgressMode::plain, ProgressMode::json, ProgressMode::off}) {
    EXPECT_EQ(choose_progress(mode, {}), mode);
    EXPECT_EQ(choose_progress(mode, {.is_tty = true, .columns = 80}), mode);
  }
  EXPECT_EQ(parse_progress("json"), ProgressMode::json);
  try {
    parse_progress("fancy");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--progress: unknown value \"fancy\"; known: auto, bar, plain, json, off");
  }
}

TEST(TerminalTest, ColourFollowsCommandLineThenEnvironmentThenTerminal) {
  const Terminal tty{.is_tty = true, .columns = 80, .term = "xterm"};
  EXPECT_TRUE(choose_color(ColorMode::always, nullptr, nullptr, "1", {}));
  EXPECT_FALSE(choose_color(ColorMode::never, "1", "1", nullptr, tty));
  EXPECT_TRUE(choose_color(ColorMode::automatic, "1", nullptr, "1", {}));
  EXPECT_TRUE(choose_color(ColorMode::automatic, nullptr, "1", nullptr, {}));
  EXPECT_FALSE(choose_color(ColorMode::automatic, nullptr, nullptr, "1", tty));
  EXPECT_TRUE(choose_color(ColorMode::automatic, "", "", "", tty));
  EXPECT_FALSE(choose_color(ColorMode::automatic, nullptr, nullptr, nullptr, {}));
}

TEST(TerminalTest, DurationsReadLikeClocks) {
  EXPECT_EQ(format_duration(7), "0:07");
  EXPECT_EQ(format_duration(201), "3:21");
  EXPECT_EQ(format_duration(7509.4), "2:05:09");
  EXPECT_EQ(format_duration(-1), "-:--");
}

}  // namespace
}  // namespace lockstep
