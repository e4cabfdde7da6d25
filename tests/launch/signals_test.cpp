#include <csignal>

#include <gtest/gtest.h>

#include "launch/signals.h"

namespace lockstep {
namespace {

TEST(SignalsTest, EachSignalAsksForAStopAndNothingElse) {
  install_signal_handlers();
  clear_stop_request();
  EXPECT_FALSE(stop_requested());
  EXPECT_STREQ(stop_signal(), "");
  for (const int number : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) {
    clear_stop_request();
    std::raise(number);
    EXPECT_TRUE(stop_requested()) << number;
  }
  EXPECT_STREQ(stop_signal(), "SIGINT");
  clear_stop_request();
}

TEST(SignalsTest, ASignalThatComesTwiceIsOneRequest) {
  install_signal_handlers();
  clear_stop_request();
  std::raise(SIGTERM);
  std::raise(SIGTERM);
  std::raise(SIGUSR1);
  EXPECT_STREQ(stop_signal(), "SIGTERM");
  clear_stop_request();
}

TEST(SignalsDeathTest, ASecondInterruptKills) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        install_signal_handlers();
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace lockstep
