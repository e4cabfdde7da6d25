#include "io/atomic_file.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/io/fault_calls.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::FaultCounter;
using testing::TemporaryDirectory;

std::size_t files_in(const TemporaryDirectory& directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory.path()), {}));
}

std::string message_of(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(AtomicFileTest, CommitReplacesTheWholeContent) {
  TemporaryDirectory directory;
  const std::string path = directory / "latest";
  commit_text(path, "a long first content");
  commit_text(path, "short");
  EXPECT_EQ(read_text(path, 100), "short");
  EXPECT_EQ(files_in(directory), 1u);
}

TEST(AtomicFileTest, AFailureAtAnyCallLeavesTheOldOrTheNewContentAndSaysWhy) {
  for (const int error_number : {ENOSPC, EIO, EDQUOT}) {
    int call = 0;
    for (bool more = true; more; ++call) {
      TemporaryDirectory directory;
      const std::string path = directory / "latest";
      commit_text(path, "old");
      FaultCounter faults{.failing_call = call, .error_number = error_number};
      const FileCalls calls = testing::faulty_calls(faults);
      std::string message;
      try {
        commit_text(path, "new", calls);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::io);
        message = error.what();
      }
      more = faults.triggered;
      const std::string content = read_text(path, 100);
      if (more) {
        EXPECT_TRUE(content == "old" || content == "new") << "call " << call;
        EXPECT_NE(message.find(std::strerror(error_number)), std::string::npos) << "call " << call << ": " << message;
      } else {
        EXPECT_EQ(content, "new");
      }
      EXPECT_EQ(files_in(directory), 1u) << "call " << call;
    }
    EXPECT_GE(call, 10);
  }
}

TEST(AtomicFileTest, NothingIsRenamedBeforeItIsOnTheDisk) {
  TemporaryDirectory directory;
  const std::string path = directory / "latest";
  commit_text(path, "old");
  FaultCounter none;
  FileCalls calls = testing::faulty_calls(none);
  int syncs = 0, syncs_at_rename = 0;
  const FileCalls& real = FileCalls::system();
  calls.sync = [&](int file) { return ++syncs, real.sync(file); };
  calls.rename = [&](const char* from, const char* to) { return syncs_at_rename = syncs, real.rename(from, to); };
  commit_text(path, "new", calls);
  EXPECT_EQ(syncs_at_rename, 1);
  EXPECT_EQ(syncs, 2);
}

TEST(AtomicFileTest, ShortAndInterruptedWritesAreContinued) {
  TemporaryDirectory directory;
  const std::string path = directory / "text";
  FileCalls calls = FileCalls::system();
  int turn = 0;
  calls.write = [&](int file, const void* data, std::size_t bytes) -> ssize_t {
    if (turn++ % 2 == 0) {
      errno = EINTR;
      return -1;
    }
    return FileCalls::system().write(file, data, std::min<std::size_t>(bytes, 3));
  };
  commit_text(path, "0123456789", calls);
  EXPECT_EQ(read_text(path, 100), "0123456789");
}

TEST(AtomicFileTest, ADiskThatKeepsOtherBytesIsNoticed) {
  TemporaryDirectory directory;
  const std::string path = directory / "text";
  commit_text(path, "old");
  FileCalls calls = FileCalls::system();
  calls.write = [](int file, const void* data, std::size_t bytes) {
    std::string wrong(static_cast<const char*>(data), bytes);
    wrong[0] = static_cast<char>(wrong[0] ^ 1);
    return FileCalls::system().write(file, wrong.data(), bytes);
  };
  const std::string message = message_of([&] { commit_text(path, "new", calls); }, ErrorKind::io);
  EXPECT_NE(message.find("reads back differently from what was written"), std::string::npos);
  EXPECT_EQ(read_text(path, 100), "old");
}

TEST(AtomicFileTest, AVerifierThatThrowsKeepsTheOldFile) {
  TemporaryDirectory directory;
  const std::string path = directory / "text";
  commit_text(path, "old");
  const std::string text = "new";
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  const auto refuse = [](const std::string&) { fail(ErrorKind::content, "refused"); };
  EXPECT_EQ(message_of([&] { commit_file(path, std::span(&part, 1), refuse); }, ErrorKind::content), "refused");
  EXPECT_EQ(read_text(path, 100), "old");
  EXPECT_EQ(files_in(directory), 1u);
}

TEST(AtomicFileTest, TwoWritersLeaveOneWholeContent) {
  TemporaryDirectory directory;
  const std::string path = directory / "text";
  const auto write = [&](char letter) {
    for (int i = 0; i < 20; ++i) commit_text(path, std::string(10000, letter));
  };
  std::thread other(write, 'a');
  write('b');
  other.join();
  const std::string content = read_text(path, 100000);
  EXPECT_TRUE(content == std::string(10000, 'a') || content == std::string(10000, 'b'));
  EXPECT_EQ(files_in(directory), 1u);
}

TEST(AtomicFileTest, LeftoversOfDeadWritersAreRemovedAndNothingElse) {
  TemporaryDirectory directory;
  const std::string dead = directory / ".latest.12.0.lockstep-tmp";
  const std::string alive = directory / ".latest.12.1.lockstep-tmp";
  for (const std::string& path : {dead, alive, directory / "notes.lockstep-tmp", directory / "latest"}) std::ofstream(path) << "x";
  const int file = ::open(alive.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  EXPECT_EQ(remove_leftovers(directory.path().string()), std::vector<std::string>{dead});
  EXPECT_EQ(files_in(directory), 3u);
  ::close(file);
}

TEST(AtomicFileTest, ReadingIsBoundedAndNamesTheFile) {
  TemporaryDirectory directory;
  const std::string path = directory / "text";
  commit_text(path, "12345");
  EXPECT_EQ(message_of([&] { read_text(path, 4); }, ErrorKind::content), "\"" + path + "\": is too large: expected up to 4 bytes, got 5");
  EXPECT_EQ(message_of([&] { read_text(directory / "none", 4); }, ErrorKind::io),
            "\"" + (directory / "none") + "\": cannot open: No such file or directory");
  EXPECT_EQ(message_of([&] { read_text(directory.path().string(), 4); }, ErrorKind::content),
            "\"" + directory.path().string() + "\": is not a regular file");
}

}  // namespace
}  // namespace lockstep
