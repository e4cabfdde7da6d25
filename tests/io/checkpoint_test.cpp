#include "io/checkpoint.h"

#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/model/state_digest.h"
#include "io/atomic_file.h"
#include "io/checkpoint_envelope.h"
#include "io/hdf5.h"
#include "tests/io/fault_calls.h"
#include "tests/support/sample_state.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::SampleState;
using testing::TemporaryDirectory;

VisitState all_of(SampleState& state) {
  return [&state](StateVisitor& visitor) { state.visit(visitor); };
}

VisitState weights_of(SampleState& state) {
  return [&state](StateVisitor& visitor) { state.visit_weights(visitor); };
}

CheckpointMeta sample_meta() {
  return {.step = 17,
          .epoch = 2,
          .created_by = "lockstep 0.1.0",
          .fingerprint = "cpu avx512",
          .run_file = "[train]\nepochs = 3\n",
          .metrics = {{"train.loss", 0.25}, {"validation.accuracy", 0.875}}};
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::content) << error.what();
    return error.what();
  }
  return "no error";
}

/// Wraps a file in memory as a checkpoint whose envelope is right: what an attacker or a bug of ours can make.
void commit_image(const std::string& path, Hdf5File& file) {
  const std::span<const std::byte> payload = file.close_to_image();
  commit_text(path, make_envelope(payload) + std::string(reinterpret_cast<const char*>(payload.data()), payload.size()));
}

Hdf5File bare_checkpoint() {
  Hdf5File file = Hdf5File::create_in_memory("made by hand", Hdf5Format::v110);
  Hdf5Group& root = file.root();
  root.set_attribute("format", "lockstep-checkpoint");
  root.set_attribute("format_version", 1);
  root.set_attribute("step", 1);
  root.set_attribute("epoch", 0);
  root.set_attribute("created_by", "");
  root.set_attribute("fingerprint", "");
  root.create_group("metrics");
  root.create_dataset("run_file", Dtype::u8, Shape{0});
  return file;
}

TEST(CheckpointTest, LoadBringsBackEveryBitAndTheMeta) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  SampleState state(3), other(5);
  save_checkpoint(path, sample_meta(), all_of(state));
  other.history.clear();
  const CheckpointMeta meta = load_checkpoint(path, all_of(other));
  EXPECT_EQ(state_digest(all_of(other)), state_digest(all_of(state)));
  EXPECT_EQ(meta.step, 17);
  EXPECT_EQ(meta.epoch, 2);
  EXPECT_EQ(meta.created_by, "lockstep 0.1.0");
  EXPECT_EQ(meta.fingerprint, "cpu avx512");
  EXPECT_EQ(meta.run_file, "[train]\nepochs = 3\n");
  EXPECT_EQ(meta.metrics, sample_meta().metrics);
}

TEST(CheckpointTest, EveryDtypeAndEmptyMembersSurvive) {
  TemporaryDirectory directory;
  const auto make = [](unsigned char fill) {
    Snapshot state;
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16, Dtype::f64, Dtype::u8, Dtype::i32, Dtype::i64}) {
      Snapshot::Member member{.name = "all/" + std::string(name_of(dtype)), .value = Tensor({Shape{5, 2}, dtype})};
      auto* bytes = member.value.as<unsigned char>();
      for (std::size_t i = 0; i < member.value.spec().bytes(); ++i) bytes[i] = static_cast<unsigned char>(fill + 37 * i);
      state.add(std::move(member));
    }
    state.add({.name = "all/empty", .kind = MemberKind::text, .value = Tensor({Shape{0}, Dtype::u8})});
    return state;
  };
  for (const int fill : {0, 64, 128, 255}) {  // some are NaNs with payloads
    const Snapshot state = make(static_cast<unsigned char>(fill));
    const std::string path = directory / "a.h5";
    save_checkpoint(path, {}, state);
    EXPECT_EQ(read_checkpoint(path).digest, state.digest());
  }
}

TEST(CheckpointTest, TheSameStateGivesTheSameFile) {
  TemporaryDirectory directory;
  SampleState state(3);
  save_checkpoint(directory / "a.h5", sample_meta(), all_of(state));
  save_checkpoint(directory / "b.h5", sample_meta(), all_of(state));
  EXPECT_EQ(read_text(directory / "a.h5", 1 << 20), read_text(directory / "b.h5", 1 << 20));
}

TEST(CheckpointTest, OrdinaryReadersSeePlainDatasets) {
  TemporaryDirectory directory;
  SampleState state(3);
  save_checkpoint(directory / "a.h5", sample_meta(), all_of(state));
  const Hdf5File file = Hdf5File::open(directory / "a.h5");
  const Hdf5Dataset weight = file.root().dataset("/parameters/head.weight");
  EXPECT_EQ(weight.shape(), (Shape{3, 4}));
  EXPECT_TRUE(weight.storage().fletcher32);
  std::vector<float> values(12);
  weight.read(values.data(), Dtype::f32);
  EXPECT_EQ(std::memcmp(values.data(), state.weight.view().data, 48), 0);
  EXPECT_EQ(file.root().integer_attribute("step"), 17);
  EXPECT_EQ(file.root().group("metrics").real_attribute("validation.accuracy"), 0.875);
}

TEST(CheckpointTest, WeightsAloneLoadFromAWholeCheckpoint) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  SampleState state(3), other(5);
  save_checkpoint(path, sample_meta(), all_of(state));
  load_checkpoint(path, weights_of(other), SnapshotMatch::subset);
  EXPECT_EQ(state_digest(weights_of(other)), state_digest(weights_of(state)));
  EXPECT_EQ(other.step, 5);
}

TEST(CheckpointTest, AnotherModelIsRefusedByNameAndNothingIsWritten) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  SampleState state(3), other(5);
  save_checkpoint(path, sample_meta(), weights_of(state));
  const std::string before = state_digest(all_of(other));
  EXPECT_NE(refusal([&] { load_checkpoint(path, all_of(other)); })
                .find("\"" + path + "\": does not fit this model: missing \"optimizer/momentum/head.weight\""),
            std::string::npos);
  EXPECT_EQ(state_digest(all_of(other)), before);
}

TEST(CheckpointTest, ForeignFilesAreNamedAsSuch) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  for (const std::string& content : {std::string(""), std::string("short"), std::string(4096, 'x')}) {
    commit_text(path, content);
    const std::string message = refusal([&] { read_checkpoint(path); });
    EXPECT_EQ(message, content.empty() ? "\"" + path + "\": is cut short: expected at least 512 bytes, got 0"
                                       : "\"" + path + "\": is not a lockstep checkpoint");
  }
  std::filesystem::remove(path);
  Hdf5File::create(path, Hdf5Format::v110).close();
  EXPECT_EQ(refusal([&] { read_checkpoint(path); }), "\"" + path + "\": is not a lockstep checkpoint");
}

TEST(CheckpointTest, AFormatFromTheFutureIsRefused) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  SampleState state(3);
  save_checkpoint(path, sample_meta(), all_of(state));
  std::string content = read_text(path, 1 << 20);
  content.replace(0, 22, "lockstep-checkpoint 2\n");
  commit_text(path, content);
  EXPECT_EQ(refusal([&] { read_checkpoint(path); }),
            "\"" + path + "\": was written by a newer program: expected format version up to 1, got 2");
  Hdf5File file = bare_checkpoint();
  file.root().set_attribute("format_version", 7);
  commit_image(path, file);
  EXPECT_EQ(refusal([&] { read_checkpoint(path); }), "\"" + path + "\": \"/\": format version: expected 1, got 7");
}

TEST(CheckpointTest, HostileContentBehindARightEnvelopeIsRefused) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  {
    Hdf5File file = bare_checkpoint();
    Hdf5Group part = file.root().create_group("parameters");
    Hdf5Dataset bomb = part.create_dataset("w", Dtype::f32, Shape{200000});
    bomb.set_attribute("position", 0);
    bomb.set_attribute("kind", "tensor");
    commit_image(path, file);
    EXPECT_NE(refusal([&] { read_checkpoint(path); }).find("declares more bytes than the file has"), std::string::npos);
  }
  {
    Hdf5File file = bare_checkpoint();
    Hdf5Group part = file.root().create_group("parameters");
    Hdf5Dataset wrong = part.create_dataset("w", Dtype::f32, Shape{2});
    const float values[2] = {1, 2};
    wrong.write(values, Dtype::f32);
    wrong.set_attribute("position", 0);
    wrong.set_attribute("kind", "tensor");
    wrong.set_attribute("xxh3_128", "00000000000000000000000000000000");
    commit_image(path, file);
    EXPECT_EQ(refusal([&] { read_checkpoint(path); }), "\"" + path + "\": \"/parameters/w\": is damaged: it does not match its digest");
  }
  {
    Hdf5File file = bare_checkpoint();
    Hdf5Group deepest = file.root().create_group("g");
    for (int i = 0; i < 20; ++i) deepest = deepest.create_group("g");
    commit_image(path, file);
    EXPECT_NE(refusal([&] { read_checkpoint(path); }).find("groups are nested more than 16 deep"), std::string::npos);
  }
  {
    Hdf5File file = bare_checkpoint();
    file.root().set_attribute("state_xxh3_128", "00000000000000000000000000000000");
    commit_image(path, file);
    EXPECT_EQ(refusal([&] { read_checkpoint(path); }), "\"" + path + "\": is damaged: the state does not match its digest");
  }
}

TEST(CheckpointTest, AFailureAtAnyCallLeavesTheOldOrTheNewCheckpoint) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  SampleState old_state(3), new_state(5);
  const Snapshot old_copy(all_of(old_state)), new_copy(all_of(new_state));
  int call = 0;
  for (bool more = true; more; ++call) {
    save_checkpoint(path, sample_meta(), old_copy);
    testing::FaultCounter faults{.failing_call = call, .error_number = ENOSPC};
    const FileCalls calls = testing::faulty_calls(faults);
    std::string message;
    try {
      save_checkpoint(path, sample_meta(), new_copy, calls);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::io);
      message = error.what();
    }
    more = faults.triggered;
    const std::string digest = read_checkpoint(path).digest;
    // A failed close of a file that was only read loses nothing and is not reported.
    if (message.empty()) {
      EXPECT_EQ(digest, new_copy.digest()) << "call " << call;
    } else {
      EXPECT_TRUE(digest == old_copy.digest() || digest == new_copy.digest()) << "call " << call;
      EXPECT_NE(message.find("No space left on device"), std::string::npos) << "call " << call << ": " << message;
    }
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1) << "call " << call;
  }
  EXPECT_GE(call, 14);
}

}  // namespace
}  // namespace lockstep
