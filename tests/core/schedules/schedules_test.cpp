// Golden values: PyTorch 2.15.0, by tests/golden/schedules.py.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/train/schedule.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

std::unique_ptr<Schedule> make(const std::string& text) {
  const Value root = parse_run_text("s = " + text, "run.toml");
  return make_plug_in<Schedule>(*root.find("s"));
}

std::string make_error(const std::string& text) {
  try {
    make(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    return error.what();
  }
  return "no error";
}

Progress at(std::int64_t step, std::int64_t total, std::int64_t per_epoch = 1) {
  return {.step = step, .total_steps = total, .steps_per_epoch = per_epoch};
}

void expect_factors(const Schedule& schedule, const std::vector<double>& expected, std::int64_t total) {
  for (std::size_t step = 0; step < expected.size(); ++step)
    EXPECT_NEAR(schedule.factor(at(static_cast<std::int64_t>(step), total)), expected[step], 1e-14) << "step " << step;
}

TEST(SchedulesTest, ConstantStaysAtThePeak) {
  expect_factors(*make("\"constant\""), {1.0, 1.0, 1.0}, 3);
  EXPECT_FALSE(make("\"constant\"")->depends_on_length());
  EXPECT_EQ(make_error("{ constant = false }"), "run.toml:1:7: schedule \"constant\": \"constant\": expected true, got false");
}

TEST(SchedulesTest, OneCycleFollowsPyTorch) {
  const auto schedule = make("{ one_cycle = 0.3, divide = 25, final_divide = 1e4, momentum = [0.95, 0.85] }");
  expect_factors(
      *schedule,
      {0.040000000000000036, 0.42234111373473582, 0.96026142472261744, 0.97974656782130154, 0.88447572476863034, 0.72608704929752832,
       0.53058270808759977, 0.33005802898729492, 0.15743251279950787, 0.041045543206290856, 3.9999999999999998e-06},
      11);
  const double momentum[] = {0.94999999999999996, 0.91017280065263162, 0.85413943492472733, 0.85202535131927515,
                             0.8615524737330319,  0.87739140463586573, 0.89694191695890779, 0.91699446507913074,
                             0.93425708574839217, 0.94589582926268789, 0.94999999999999996};
  for (int step = 0; step < 11; ++step) EXPECT_NEAR(schedule->momentum(at(step, 11)).value(), momentum[step], 1e-14) << "step " << step;
  EXPECT_TRUE(schedule->warms_up());
  EXPECT_TRUE(schedule->depends_on_length());
}

TEST(SchedulesTest, OneCycleCanBeLinear) {
  const auto schedule = make("{ one_cycle = 0.3, shape = \"linear\" }");
  expect_factors(
      *schedule,
      {0.040000000000000001, 0.4573913043478261, 0.87478260869565228, 0.90909127272727275, 0.77922166233766232, 0.64935205194805201,
       0.51948244155844159, 0.38961283116883116, 0.25974322077922074, 0.12987361038961043, 4.0000000000040004e-06},
      11);
  EXPECT_FALSE(schedule->momentum(at(0, 11)).has_value());
}

TEST(SchedulesTest, OneCycleIsFiniteInTheShortestRuns) {
  const auto schedule = make("\"one_cycle\"");
  for (std::int64_t total = 1; total < 12; ++total)
    for (std::int64_t step = 0; step <= total; ++step) {
      const double factor = schedule->factor(at(step, total));
      EXPECT_TRUE(factor > 0 && factor <= 1) << step << " of " << total << ": " << factor;
    }
}

TEST(SchedulesTest, OneCycleRefusesAnImpossibleMomentum) {
  EXPECT_EQ(make_error("{ one_cycle = 0.3, momentum = [0.85, 0.95] }"),
            "run.toml:1:24: schedule \"one_cycle\": \"momentum\": expected [high, low] in [0, 1), got [0.85, 0.95]");
  EXPECT_EQ(make_error("{ one_cycle = 1.5 }"), "run.toml:1:7: schedule \"one_cycle\": \"one_cycle\": expected at most 1, got 1.5");
}

TEST(SchedulesTest, CosineFollowsPyTorch) {
  expect_factors(*make("{ cosine = 0.1 }"),
                 {1, 0.96574578963007907, 0.86819805153394636, 0.72220754456429048, 0.55000000000000004, 0.37779245543570972,
                  0.2318019484660537, 0.134254210369921, 0.10000000000000001},
                 8);
  EXPECT_NEAR(make("\"cosine\"")->factor(at(8, 8)), 0.0, 1e-16);
}

TEST(SchedulesTest, WarmUpFollowsPyTorchAndThenTheOther) {
  const auto schedule = make("{ warm_up = 4, unit = \"steps\" }");
  expect_factors(*schedule, {0.01, 0.25750000000000001, 0.505, 0.75249999999999995, 1, 1}, 10);
  EXPECT_FALSE(schedule->depends_on_length());
  const auto composed = make("{ warm_up = 2, then = { cosine = 0.1 } }");
  const auto cosine = make("{ cosine = 0.1 }");
  EXPECT_NEAR(composed->factor(at(3, 26, 3)), 0.01 + 0.99 * 3 / 6, 1e-15);
  EXPECT_EQ(composed->factor(at(6, 26, 3)), 1.0);
  EXPECT_EQ(composed->factor(at(16, 26, 3)), cosine->factor(at(10, 20, 3)));
  EXPECT_TRUE(composed->depends_on_length());
}

TEST(SchedulesTest, WarmingUpTwiceIsRefused) {
  EXPECT_EQ(make_error("{ warm_up = 5, then = { one_cycle = 0.3 } }"),
            "run.toml:1:20: schedule \"warm_up\": \"then\": { one_cycle = 0.3 } rises by itself at the start, so this would warm up twice: "
            "expected one of the two");
  EXPECT_EQ(make_error("{ warm_up = 5, then = { warm_up = 3 } }"),
            "run.toml:1:20: schedule \"warm_up\": \"then\": { warm_up = 3 } rises by itself at the start, so this would warm up twice: "
            "expected one of the two");
}

TEST(SchedulesTest, StepDecayFollowsPyTorch) {
  const auto schedule = make("{ step_decay = [2, 5] }");
  expect_factors(*schedule, {1, 1, 0.1, 0.1, 0.1, 0.01, 0.01}, 7);
  EXPECT_FALSE(schedule->depends_on_length());
  EXPECT_EQ(make_error("{ step_decay = [5, 2] }"),
            "run.toml:1:7: schedule \"step_decay\": \"step_decay\": expected rising epochs such as [30, 60, 80], got [5, 2]");
}

constexpr const char* kPlateau =
    "{ plateau = \"validation.loss\", factor = 0.5, patience = 1, min_delta = 0.05, cooldown = 2, floor = 0.2 }";

TEST(SchedulesTest, PlateauFollowsPyTorch) {
  const auto schedule = make(kPlateau);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double losses[] = {1.0, 0.9, 0.88, 0.87, 0.86, 0.85, 0.85, 0.85, 0.85, 0.7, nan, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7};
  const double factors[] = {1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2};
  for (std::size_t epoch = 0; epoch < std::size(losses); ++epoch) {
    schedule->observe({{"validation.loss", losses[epoch]}, {"train.loss", 0.0}});
    EXPECT_DOUBLE_EQ(schedule->factor(at(0, 1)), factors[epoch]) << "epoch " << epoch;
  }
}

TEST(SchedulesTest, PlateauIgnoresEpochsWithoutItsMetric) {
  const auto schedule = make("{ plateau = \"validation.accuracy\", patience = 0 }");
  schedule->observe({{"validation.accuracy", 0.5}});
  schedule->observe({{"train.loss", 1.0}});
  EXPECT_EQ(schedule->factor(at(0, 1)), 1.0);
  schedule->observe({{"validation.accuracy", 0.5}});
  EXPECT_DOUBLE_EQ(schedule->factor(at(0, 1)), 0.1);
  EXPECT_EQ(schedule->monitor(), "validation.accuracy");
}

/// Copies numbers out of one schedule, then into another.
class Copier : public StateVisitor {
 public:
  enum class Way { out, in } way = Way::out;
  void rewind() { way = Way::in, next_ = 0; }
  void enter(std::string_view) override {}
  void leave() override {}
  void tensor(std::string_view, TensorView) override { FAIL(); }
  void positional(std::string_view, TensorView, std::int64_t, std::int64_t) override { FAIL(); }
  void integer(std::string_view, std::int64_t& value) override {
    double number = static_cast<double>(value);
    real("", number);
    value = static_cast<std::int64_t>(number);
  }
  void real(std::string_view, double& value) override {
    if (way == Way::out)
      kept_.push_back(value);
    else
      value = kept_.at(next_++);
  }
  void reals(std::string_view, std::vector<double>&) override { FAIL(); }
  void text(std::string_view, std::string&) override { FAIL(); }

 private:
  std::vector<double> kept_;
  std::size_t next_ = 0;
};

TEST(SchedulesTest, PlateauGoesOnWhereItsStateLeftOff) {
  const std::string text = std::string("{ warm_up = 0, then = ") + kPlateau + " }";
  for (std::size_t stop = 0; stop < 10; ++stop) {
    const auto straight = make(text), first = make(text), second = make(text);
    for (std::size_t epoch = 0; epoch < 10; ++epoch) {
      const std::map<std::string, double> metrics = {{"validation.loss", epoch < 2 ? 1.0 - 0.1 * static_cast<double>(epoch) : 0.9}};
      if (epoch == stop) {
        Copier copier;
        first->visit(copier);
        copier.rewind();
        second->visit(copier);
      }
      straight->observe(metrics);
      (epoch < stop ? first : second)->observe(metrics);
    }
    EXPECT_EQ(straight->factor(at(9, 10)), second->factor(at(9, 10))) << stop;
    EXPECT_LT(straight->factor(at(9, 10)), 1.0);
  }
}

}  // namespace
}  // namespace lockstep
