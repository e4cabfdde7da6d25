// Every bit of a reference checkpoint is flipped, and it is cut at every length, in child processes, so that a crash
// of the library is told from an error.

#include <functional>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/model/state_digest.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "tests/support/sample_state.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::SampleState;
using testing::TemporaryDirectory;

constexpr int kAllRefused = 0, kSilent = 1, kWrongError = 2, kHarness = 3;

/// Damages the file in place in the i-th way.
using Damage = std::function<void(int file, std::size_t i)>;

void put(int file, std::size_t offset, const std::string& bytes) {
  if (::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes.size())) ::_exit(kHarness);
}

/// Tries to load the file damaged in each way; the exit code of the child.
int try_all(const std::string& path, std::size_t count, const Damage& damage, const Damage& repair) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  for (std::size_t i = 0; i < count; ++i) {
    damage(file, i);
    try {
      read_checkpoint(path);
      return kSilent;
    } catch (const Error& error) {
      const bool named = std::string(error.what()).find("\"" + path + "\"") == 0;
      if (error.kind() != ErrorKind::content || !named) return kWrongError;
    }
    repair(file, i);
  }
  return kAllRefused;
}

void expect_all_refused(const std::string& path, std::size_t count, const Damage& damage, const Damage& repair) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(try_all(path, count, damage, repair));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "crashed by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), kAllRefused);
}

class CheckpointDamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SampleState state(3);
    const auto visit = [&](StateVisitor& visitor) { state.visit(visitor); };
    save_checkpoint(path_, {.step = 1, .created_by = "lockstep", .run_file = "[train]\n", .metrics = {{"loss", 1.0}}}, visit);
    content_ = read_text(path_, 1 << 20);
    ASSERT_GT(content_.size(), 4096u);
    ASSERT_LT(content_.size(), 65536u);
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_ / "a.h5";
  std::string content_;
};

TEST_F(CheckpointDamageTest, EveryFlippedBitIsNoticed) {
  const auto flip = [&](int file, std::size_t i) { put(file, i / 8, {static_cast<char>(content_[i / 8] ^ (1 << (i % 8)))}); };
  const auto repair = [&](int file, std::size_t i) { put(file, i / 8, {content_[i / 8]}); };
  expect_all_refused(path_, content_.size() * 8, flip, repair);
  EXPECT_EQ(read_text(path_, 1 << 20), content_);
}

TEST_F(CheckpointDamageTest, ACutAtAnyLengthIsNoticed) {
  const auto cut = [&](int file, std::size_t i) {
    if (::ftruncate(file, static_cast<off_t>(content_.size() - 1 - i)) != 0) ::_exit(kHarness);
  };
  expect_all_refused(path_, content_.size(), cut, [](int, std::size_t) {});
}

TEST_F(CheckpointDamageTest, BytesAtTheEndAreNoticed) {
  const auto append = [&](int file, std::size_t i) { put(file, content_.size() + i, {'\0'}); };
  expect_all_refused(path_, 64, append, [](int, std::size_t) {});
}

TEST_F(CheckpointDamageTest, SwappedBlocksAreNoticed) {
  const std::size_t blocks = content_.size() / 64;
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = 0; i < blocks; ++i)
    for (std::size_t k = i + 1; k < std::min(blocks, i + 4); ++k)
      if (content_.compare(64 * i, 64, content_, 64 * k, 64) != 0) pairs.emplace_back(64 * i, 64 * k);
  const auto swap = [&](int file, std::size_t i) {
    put(file, pairs[i].first, content_.substr(pairs[i].second, 64));
    put(file, pairs[i].second, content_.substr(pairs[i].first, 64));
  };
  const auto repair = [&](int file, std::size_t i) {
    put(file, pairs[i].first, content_.substr(pairs[i].first, 64));
    put(file, pairs[i].second, content_.substr(pairs[i].second, 64));
  };
  expect_all_refused(path_, pairs.size(), swap, repair);
}

}  // namespace
}  // namespace lockstep
