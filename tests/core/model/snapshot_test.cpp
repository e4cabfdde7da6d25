#include "core/model/snapshot.h"

#include <cstring>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/model/state_digest.h"
#include "tests/support/sample_state.h"

namespace lockstep {
namespace {

using testing::SampleState;

VisitState all_of(SampleState& state) {
  return [&state](StateVisitor& visitor) { state.visit(visitor); };
}

VisitState weights_of(SampleState& state) {
  return [&state](StateVisitor& visitor) { state.visit_weights(visitor); };
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::content);
    return error.what();
  }
  return "no error";
}

TEST(SnapshotTest, RestoreBringsBackEveryBit) {
  SampleState state(3);
  const std::string before = state_digest(all_of(state));
  const Snapshot snapshot(all_of(state));
  state = SampleState(5);
  state.history.resize(7);
  state.note.clear();
  EXPECT_NE(state_digest(all_of(state)), before);
  snapshot.restore(all_of(state), "roll-back");
  EXPECT_EQ(state_digest(all_of(state)), before);
  EXPECT_EQ(state.history.size(), 2u);
  EXPECT_EQ(state.step, 3);
}

TEST(SnapshotTest, DigestIsThatOfTheState) {
  SampleState state(3);
  EXPECT_EQ(Snapshot(all_of(state)).digest(), state_digest(all_of(state)));
}

TEST(SnapshotTest, LaterChangesOfTheStateDoNotReachTheCopy) {
  SampleState state(3);
  const Snapshot snapshot(all_of(state));
  const std::string before = snapshot.digest();
  state.weight.as<float>()[0] = 99;
  state.note = "changed";
  EXPECT_EQ(snapshot.digest(), before);
}

TEST(SnapshotTest, TakingAgainUsesTheSameMemory) {
  SampleState state(3);
  Snapshot snapshot(all_of(state));
  const void* memory = snapshot.find("parameters/head.weight")->value.view().data;
  SampleState other(4);
  snapshot.take(all_of(other));
  EXPECT_EQ(snapshot.find("parameters/head.weight")->value.view().data, memory);
  EXPECT_EQ(snapshot.digest(), state_digest(all_of(other)));
  snapshot.take(weights_of(other));
  EXPECT_EQ(snapshot.members().size(), 2u);
}

TEST(SnapshotTest, AMisfitNamesEveryDifferenceAndChangesNothing) {
  SampleState state(3);
  const Snapshot snapshot(all_of(state));
  SampleState other(4);
  const std::string before = state_digest(all_of(other));
  std::int64_t extra = 0;
  const auto visit = [&](StateVisitor& visitor) {
    {
      StatePart part(visitor, "parameters");
      visitor.tensor("head.weight", {other.weight.view().data, {Shape{4, 3}, Dtype::f32}});
      visitor.tensor("head.bias", other.bias.view());
      visitor.integer("extra", extra);
    }
    StatePart run(visitor, "run");
    visitor.real("step", other.loss_scale);
    visitor.real("loss_scale", other.loss_scale);
    visitor.reals("history", other.history);
    visitor.positional("carried", other.carried.view(), 0, 8);
  };
  EXPECT_EQ(refusal([&] { snapshot.restore(visit, "checkpoint \"a.h5\""); }),
            "checkpoint \"a.h5\": does not fit this model: missing \"parameters/extra\"; "
            "unexpected \"optimizer/momentum/head.weight\", \"run/note\"; "
            "different \"parameters/head.weight\": expected tensor [4, 3] f32, got tensor [3, 4] f32, "
            "\"run/step\": expected real [] f64, got integer [] i64");
  EXPECT_EQ(state_digest(all_of(other)), before);
}

TEST(SnapshotTest, LongListsOfDifferencesAreCut) {
  SampleState state(3);
  const Snapshot empty;
  EXPECT_NE(refusal([&] { empty.restore(all_of(state), "x"); }).find("\"run/loss_scale\" and 3 more"), std::string::npos);
}

TEST(SnapshotTest, WeightsAloneCanBeTakenFromAWholeState) {
  SampleState state(3), other(4);
  const Snapshot snapshot(all_of(state));
  snapshot.restore(weights_of(other), "x", SnapshotMatch::subset);
  EXPECT_EQ(state_digest(weights_of(other)), state_digest(weights_of(state)));
  EXPECT_EQ(other.step, 4);
  EXPECT_NE(refusal([&] { snapshot.restore(weights_of(other), "x"); }), "no error");
}

TEST(StateDigestTest, AnyFlippedBitNameOrLengthShows) {
  SampleState state(3);
  const std::string before = state_digest(all_of(state));
  for (int bit = 0; bit < 12 * 32; ++bit) {
    auto* byte = state.weight.as<unsigned char>() + bit / 8;
    *byte = static_cast<unsigned char>(*byte ^ (1u << (bit % 8)));
    EXPECT_NE(state_digest(all_of(state)), before);
    *byte = static_cast<unsigned char>(*byte ^ (1u << (bit % 8)));
  }
  EXPECT_EQ(state_digest(all_of(state)), before);
  state.history.push_back(0);
  EXPECT_NE(state_digest(all_of(state)), before);
}

TEST(StateDigestTest, MembersNameWhatDiffers) {
  SampleState state(3), other(3);
  other.momentum.as<float>()[5] += 1;
  DigestVisitor one, two;
  state.visit(one);
  other.visit(two);
  ASSERT_EQ(one.members().size(), two.members().size());
  for (std::size_t i = 0; i < one.members().size(); ++i) {
    EXPECT_EQ(one.members()[i].first, two.members()[i].first);
    EXPECT_EQ(one.members()[i].second != two.members()[i].second, one.members()[i].first == "optimizer/momentum/head.weight");
  }
}

TEST(StateDigestTest, PartsOfPositionalStateAreRefused) {
  SampleState state(3);
  const auto visit = [&](StateVisitor& visitor) { visitor.positional("carried", state.carried.view(), 0, 16); };
  EXPECT_THROW(state_digest(visit), Error);
}

}  // namespace
}  // namespace lockstep
