#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "launch/run_directory.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::TemporaryDirectory;

std::string message_of(ErrorKind kind, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return {};
}

void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(RunDirectoryTest, IsMadeWithItsParents) {
  const TemporaryDirectory root;
  const RunDirectory run(root / "a/b", IfExists::error);
  EXPECT_FALSE(run.holds_run());
  EXPECT_TRUE(std::filesystem::is_directory(root / "a/b"));
  EXPECT_EQ(run.paths().metrics_csv(), root / "a/b/metrics.csv");
}

TEST(RunDirectoryTest, ASecondRunIsRefusedAndToldWhoIsThere) {
  const TemporaryDirectory root;
  const RunDirectory first(root / "run", IfExists::error);
  const std::string text = message_of(ErrorKind::usage, [&] { RunDirectory second(root / "run", IfExists::resume); });
  EXPECT_NE(text.find("is in use by process " + std::to_string(::getpid()) + " on "), std::string::npos) << text;
  // The refusal took nothing from the holder.
  EXPECT_TRUE(RunLock::holder(root / "run").has_value());
}

TEST(RunDirectoryTest, IsFreeAgainWhenTheHolderIsKilled) {
  const TemporaryDirectory root;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    RunLock lock((root.path()).string());
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const auto holder = RunLock::holder(root.path().string());
  ASSERT_TRUE(holder.has_value());
  EXPECT_NE(holder->find("process " + std::to_string(child) + " on "), std::string::npos) << *holder;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(RunLock::holder(root.path().string()).has_value());
  const RunLock again(root.path().string());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(RunDirectoryTest, AnEarlierRunIsNotOverwritten) {
  const TemporaryDirectory root;
  put(root / "run.toml", "x = 1\n");
  write_record({root.path().string()}, {.phase = RunPhase::stopped, .step = 40, .total_steps = 1200});
  const std::string text = message_of(ErrorKind::usage, [&] { RunDirectory run(root.path().string(), IfExists::error); });
  EXPECT_NE(text.find("holds a run already (stopped, step 40 of 1,200): go on with \"lockstep resume "), std::string::npos) << text;
  const RunDirectory run(root.path().string(), IfExists::resume);
  EXPECT_TRUE(run.holds_run());
  EXPECT_EQ(run.earlier()->step, 40);
  EXPECT_EQ(read_text(root / "run.toml", 100), "x = 1\n");
}

TEST(RunDirectoryTest, AFileInTheWayIsNamed) {
  const TemporaryDirectory root;
  put(root / "file", "x");
  const std::string text = message_of(ErrorKind::io, [&] { RunDirectory run(root / "file", IfExists::error); });
  EXPECT_NE(text.find("cannot make the run directory"), std::string::npos) << text;
}

TEST(RunStatusTest, SaysHowARunStands) {
  const TemporaryDirectory root;
  const RunPaths paths{root.path().string()};
  EXPECT_NE(message_of(ErrorKind::usage, [&] { run_status(paths.directory); }).find("holds no run"), std::string::npos);

  put(paths.run_file(), "");
  EXPECT_EQ(run_status(paths.directory).exit_code, 75);
  EXPECT_EQ(run_status(paths.directory).line, "start again: the run ended before its first step");

  write_record(paths, {.phase = RunPhase::done, .step = 10, .total_steps = 10});
  EXPECT_EQ(run_status(paths.directory).exit_code, 0);
  EXPECT_EQ(run_status(paths.directory).line, "done: step 10 of 10");

  write_record(paths, {.phase = RunPhase::stopped, .step = 4, .total_steps = 10, .message = "SIGUSR2"});
  EXPECT_EQ(run_status(paths.directory).exit_code, 75);
  EXPECT_EQ(run_status(paths.directory).line, "start again: stopped at step 4 of 10, SIGUSR2");

  write_record(paths, {.phase = RunPhase::failed, .step = 4, .total_steps = 10, .exit_code = 65, .message = "a.h5: damaged"});
  EXPECT_EQ(run_status(paths.directory).exit_code, 65);
  EXPECT_EQ(run_status(paths.directory).line, "failed: step 4 of 10, exit code 65: a.h5: damaged");
}

TEST(RunStatusTest, TellsARunningRunFromAKilledOne) {
  const TemporaryDirectory root;
  const RunPaths paths{root.path().string()};
  write_record(paths, {.phase = RunPhase::running, .step = 4, .total_steps = 10});
  EXPECT_EQ(run_status(paths.directory).exit_code, 75);
  EXPECT_EQ(run_status(paths.directory).line, "start again: killed after step 4 of 10; no checkpoint yet, so from the start");
  std::filesystem::create_directories(paths.checkpoints() + "/step-4");
  EXPECT_EQ(run_status(paths.directory).line, "start again: killed after step 4 of 10; a checkpoint is there");
  const RunDirectory run(paths.directory, IfExists::resume);
  EXPECT_EQ(run_status(paths.directory).exit_code, 1);
  EXPECT_EQ(run_status(paths.directory).line.rfind("running: step 4 of 10, process ", 0), 0u);
}

TEST(RunStatusTest, AForeignStateFileIsContent) {
  const TemporaryDirectory root;
  const RunPaths paths{root.path().string()};
  for (const char* text : {"", "{}", "[1]", "{\"state\": 3}", "\xff\xfe"}) {
    put(paths.state(), text);
    EXPECT_NE(message_of(ErrorKind::content, [&] { run_status(paths.directory); }).find("is no state of a run"), std::string::npos) << text;
  }
  put(paths.state(), "{\"state\": \"asleep\"}");
  EXPECT_NE(message_of(ErrorKind::content, [&] { run_status(paths.directory); }).find("unknown state \"asleep\""), std::string::npos);
}

}  // namespace
}  // namespace lockstep
