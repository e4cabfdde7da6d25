#include "io/checkpoint_store.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "tests/io/fault_calls.h"
#include "tests/support/sample_state.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::SampleState;
using testing::TemporaryDirectory;

Snapshot state_of(float seed) {
  SampleState state(seed);
  return Snapshot([&](StateVisitor& visitor) { state.visit(visitor); });
}

CheckpointMeta at_step(std::int64_t step, double accuracy = 0) { return {.step = step, .metrics = {{"validation.accuracy", accuracy}}}; }

std::vector<std::int64_t> steps_in(const CheckpointStore& store) {
  std::vector<std::int64_t> steps;
  for (const auto& [step, path] : store.list()) steps.push_back(step);
  return steps;
}

using Steps = std::vector<std::int64_t>;

void damage(const std::string& path) {
  std::string content = read_text(path, 1 << 20);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 16);
  commit_text(path, content);
}

TEST(CheckpointStoreTest, AnEmptyOrMissingDirectoryHasNone) {
  TemporaryDirectory directory;
  EXPECT_FALSE(CheckpointStore(directory / "none").find_latest());
  EXPECT_FALSE(CheckpointStore(directory.path().string()).find_latest());
}

TEST(CheckpointStoreTest, TheNewestIsFoundAndNamedInLatest) {
  TemporaryDirectory directory;
  CheckpointStore store(directory / "checkpoints");
  store.save(at_step(100), state_of(1));
  EXPECT_EQ(store.save(at_step(200), state_of(2)), directory / "checkpoints/step-00000200.h5");
  const auto found = store.find_latest();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->checkpoint.meta.step, 200);
  EXPECT_EQ(found->checkpoint.digest, state_of(2).digest());
  EXPECT_EQ(found->note, "");
  EXPECT_EQ(read_text(directory / "checkpoints/latest", 100), "step-00000200.h5\n");
}

TEST(CheckpointStoreTest, TheNewestFewAndTheBestAreKept) {
  TemporaryDirectory directory;
  CheckpointStore store(directory.path().string(), {.keep = 2, .best = "validation.accuracy"});
  const std::vector<double> accuracy = {0.1, 0.7, 0.3, 0.7, 0.2, std::nan("")};
  for (std::size_t i = 0; i < accuracy.size(); ++i) store.save(at_step(static_cast<std::int64_t>(i + 1), accuracy[i]), state_of(1));
  EXPECT_EQ(steps_in(store), (Steps{2, 5, 6}));
  EXPECT_EQ(store.best_path(), directory / "step-00000002.h5");
  store.save(at_step(7, 0.8), state_of(1));
  EXPECT_EQ(steps_in(store), (Steps{6, 7}));
}

TEST(CheckpointStoreTest, SmallerCanBeBetterAndSurvivesARestart) {
  TemporaryDirectory directory;
  const CheckpointPolicy policy{.keep = 1, .best = "validation.accuracy", .larger_is_better = false};
  for (const auto& [step, value] : std::map<std::int64_t, double>{{1, 3.0}, {2, 1.5}, {3, 2.0}, {4, 1.6}})
    CheckpointStore(directory.path().string(), policy).save(at_step(step, value), state_of(1));
  const CheckpointStore store(directory.path().string(), policy);
  EXPECT_EQ(steps_in(store), (Steps{2, 4}));
  EXPECT_EQ(store.best_path(), directory / "step-00000002.h5");
}

TEST(CheckpointStoreTest, AKillBeforeBestWasWrittenIsMadeGood) {
  TemporaryDirectory directory;
  CheckpointStore store(directory.path().string(), {.best = "validation.accuracy"});
  store.save(at_step(1, 0.1), state_of(1));
  const std::string before = read_text(directory / "best", 1000);
  store.save(at_step(2, 0.7), state_of(1));
  commit_text(directory / "best", before);
  EXPECT_EQ(store.best_path(), directory / "step-00000001.h5");
  store.finish_save(*store.find_latest());
  EXPECT_EQ(store.best_path(), directory / "step-00000002.h5");
  EXPECT_EQ(CheckpointStore(directory.path().string()).best_path(), directory / "step-00000002.h5") << "whoever knows no metric";
  EXPECT_FALSE(CheckpointStore(directory.path().string(), {.best = "validation.loss"}).best_path());
}

TEST(CheckpointStoreTest, ADamagedNewestFallsBackAndSaysSo) {
  TemporaryDirectory directory;
  CheckpointStore store(directory.path().string());
  for (const std::int64_t step : {1, 2, 3}) store.save(at_step(step), state_of(static_cast<float>(step)));
  damage(directory / "step-00000003.h5");
  std::filesystem::resize_file(directory / "step-00000002.h5", 700);
  const auto found = store.find_latest();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->checkpoint.meta.step, 1);
  EXPECT_EQ(found->note.find("\"" + (directory / "step-00000003.h5") + "\": is damaged: its content does not match its digest; \"" +
                             (directory / "step-00000002.h5") + "\": has the wrong length"),
            0u)
      << found->note;
  EXPECT_NE(found->note.find("; using \"" + (directory / "step-00000001.h5") + "\""), std::string::npos);
}

TEST(CheckpointStoreTest, WhereNoneVerifiesTheReasonsAreGiven) {
  TemporaryDirectory directory;
  CheckpointStore store(directory.path().string());
  store.save(at_step(1), state_of(1));
  damage(directory / "step-00000001.h5");
  try {
    store.find_latest();
    FAIL() << "found one";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::content);
    EXPECT_NE(std::string(error.what()).find("no checkpoint can be used"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("is damaged"), std::string::npos);
  }
}

TEST(CheckpointStoreTest, FilesOfOthersAndLaterStepsAreLeftAlone) {
  TemporaryDirectory directory;
  const std::vector<std::string> foreign = {"step-1.h5", "step-00000001.h5.bak", "step-0000000x.h5", "notes.txt", "step--0000001.h5"};
  for (const std::string& name : foreign) std::ofstream(directory / name) << "x";
  std::filesystem::create_symlink(directory / "notes.txt", directory / "step-00000001.h5");
  std::ofstream(directory / "step-00000090.h5") << "damaged";
  std::ofstream(directory / ".latest.12.0.lockstep-tmp") << "x";
  CheckpointStore store(directory.path().string(), {.keep = 1});
  for (const std::int64_t step : {2, 3, 4}) store.save(at_step(step), state_of(1));
  EXPECT_EQ(steps_in(store), (Steps{4, 90}));
  for (const std::string& name : foreign) EXPECT_TRUE(std::filesystem::exists(directory / name)) << name;
  EXPECT_TRUE(std::filesystem::is_symlink(directory / "step-00000001.h5"));
  EXPECT_FALSE(std::filesystem::exists(directory / ".latest.12.0.lockstep-tmp"));
  EXPECT_EQ(store.find_latest()->checkpoint.meta.step, 4);
}

TEST(CheckpointStoreTest, AFailureAtAnyCallLosesNoCheckpoint) {
  const Snapshot first = state_of(1), second = state_of(2), third = state_of(3);
  int call = 0;
  for (bool more = true; more; ++call) {
    TemporaryDirectory directory;
    const CheckpointPolicy policy{.keep = 1, .best = "validation.accuracy"};
    CheckpointStore(directory.path().string(), policy).save(at_step(1, 0.5), first);
    CheckpointStore(directory.path().string(), policy).save(at_step(2, 0.1), second);
    testing::FaultCounter faults{.failing_call = call, .error_number = EIO};
    try {
      CheckpointStore(directory.path().string(), policy, testing::faulty_calls(faults)).save(at_step(3, 0.2), third);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::io);
      EXPECT_NE(std::string(error.what()).find("Input/output error"), std::string::npos) << error.what();
    }
    more = faults.triggered;
    const CheckpointStore store(directory.path().string(), policy);
    const auto found = store.find_latest();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->note, "") << "call " << call;
    EXPECT_EQ(found->checkpoint.digest, (found->checkpoint.meta.step == 3 ? third : second).digest()) << "call " << call;
    EXPECT_EQ(store.best_path(), directory / "step-00000001.h5") << "call " << call;
    EXPECT_EQ(read_checkpoint(*store.best_path()).digest, first.digest());
    if (!more) {
      EXPECT_EQ(steps_in(store), (Steps{1, 3}));
    }
  }
  EXPECT_GE(call, 25);
}

}  // namespace
}  // namespace lockstep
