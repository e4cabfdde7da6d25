#include "io/snapshot_writer.h"

#include <future>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/model/state_digest.h"
#include "tests/support/sample_state.h"

namespace lockstep {
namespace {

using testing::SampleState;

TEST(SnapshotWriterTest, SavesTheStateAsItWasWhileItChanges) {
  SampleState state(3);
  const auto visit = [&](StateVisitor& visitor) { state.visit(visitor); };
  const std::string before = state_digest(visit);
  std::promise<void> changed;
  std::string saved;
  SnapshotWriter writer([&](const CheckpointMeta& meta, const Snapshot& copy) {
    changed.get_future().wait();
    saved = copy.digest() + "@" + std::to_string(meta.step);
  });
  writer.save({.step = 7}, visit);
  state = SampleState(4);
  changed.set_value();
  writer.wait();
  EXPECT_EQ(saved, before + "@7");
}

TEST(SnapshotWriterTest, WritesOneAfterAnother) {
  SampleState state(3);
  const auto visit = [&](StateVisitor& visitor) { state.visit(visitor); };
  std::vector<std::int64_t> steps;
  SnapshotWriter writer([&](const CheckpointMeta& meta, const Snapshot&) { steps.push_back(meta.step); });
  for (std::int64_t step = 0; step < 20; ++step) writer.save({.step = step}, visit);
  writer.wait();
  ASSERT_EQ(steps.size(), 20u);
  for (std::size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(steps[i], static_cast<std::int64_t>(i));
}

TEST(SnapshotWriterTest, AnErrorComesUpAtTheNextCallOnce) {
  SampleState state(3);
  const auto visit = [&](StateVisitor& visitor) { state.visit(visitor); };
  SnapshotWriter writer([](const CheckpointMeta& meta, const Snapshot&) {
    if (meta.step == 1) fail(ErrorKind::io, "\"x\": cannot write: No space left on device");
  });
  writer.save({.step = 1}, visit);
  EXPECT_THROW(writer.save({.step = 2}, visit), Error);
  writer.save({.step = 3}, visit);
  EXPECT_NO_THROW(writer.wait());
  writer.save({.step = 1}, visit);
  EXPECT_THROW(writer.wait(), Error);
  EXPECT_NO_THROW(writer.wait());
}

}  // namespace
}  // namespace lockstep
