#include <gtest/gtest.h>

#include <cmath>

#include "core/base/hash.h"
#include "core/base/philox.h"
#include "tests/support/error_text.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

LayerCase ones_case(double rate, std::int64_t elements, std::int64_t rows) {
  LayerCase c(make_from<Layer>({{"dropout", Value::real(rate)}}), {{Shape{elements}, Dtype::f32}});
  c.rows = rows;
  c.step.seed = 7;
  c.step.epoch = 2;
  c.step.epoch_position = 100;
  c.name = "drop";
  const std::vector<double> ones(static_cast<std::size_t>(elements * rows), 1.0);
  c.set_input(0, ones);
  c.set_output_gradient(0, ones);
  return c;
}

std::vector<double> mask_of(LayerCase c) {
  c.run_forward();
  return c.output(0);
}

TEST(DropoutTest, DropsAtItsRateAndKeepsTheMean) {
  for (const double rate : {0.1, 0.5, 0.9}) {
    const auto mask = mask_of(ones_case(rate, 1001, 20));
    const double kept_value = 1.0 / (1.0 - rate), n = static_cast<double>(mask.size());
    double kept = 0;
    for (const double m : mask) {
      ASSERT_TRUE(m == 0.0 || std::abs(m - kept_value) < 1e-5 * kept_value) << m;
      kept += m != 0.0;
    }
    EXPECT_NEAR(kept / n, 1.0 - rate, 4 * std::sqrt(rate * (1 - rate) / n));
  }
}

TEST(DropoutTest, MaskIsThePromisedFunctionOfGlobalPositions) {
  const auto mask = mask_of(ones_case(0.3, 70, 3));
  const std::uint64_t key = random_key(7, RandomPurpose::dropout, hash_text("drop"));
  for (std::uint64_t row = 0; row < 3; ++row)
    for (std::uint64_t e = 0; e < 70; ++e) {
      const auto words = Philox::draw(e / 4, (std::uint64_t{2} << 40) + 100 + row, key);
      EXPECT_EQ(mask[row * 70 + e] != 0.0, Philox::uniform(words.w[e % 4]) >= 0.3f) << row << ", " << e;
    }
}

TEST(DropoutTest, MaskDoesNotDependOnTheSplitOverRanks) {
  const auto whole = mask_of(ones_case(0.5, 33, 8));
  std::vector<double> parts;
  for (const auto& [first, rows] : std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 3}, {3, 1}, {4, 4}}) {
    LayerCase c = ones_case(0.5, 33, rows);
    c.first_row = first;
    const auto part = mask_of(std::move(c));
    parts.insert(parts.end(), part.begin(), part.end());
  }
  EXPECT_EQ(whole, parts);
}

TEST(DropoutTest, SeedEpochPositionAndNameChangeTheMask) {
  const auto base = mask_of(ones_case(0.5, 64, 4));
  LayerCase seed = ones_case(0.5, 64, 4), epoch = ones_case(0.5, 64, 4), position = ones_case(0.5, 64, 4), name = ones_case(0.5, 64, 4);
  seed.step.seed = 8;
  epoch.step.epoch = 3;
  position.step.epoch_position = 104;
  name.name = "other";
  for (LayerCase* other : {&seed, &epoch, &position, &name}) EXPECT_NE(mask_of(std::move(*other)), base);
}

TEST(DropoutTest, GradientHasTheMaskOfTheForwardPass) {
  LayerCase c = ones_case(0.4, 50, 4);
  c.run_forward();
  c.run_backward();
  EXPECT_EQ(c.output(0), c.input_gradient(0));
}

TEST(DropoutTest, EvaluationIsTheIdentity) {
  LayerCase c = ones_case(0.9, 50, 4);
  c.run_evaluate();
  EXPECT_EQ(c.output(0), c.input(0));
}

TEST(DropoutTest, PassesTheChecksOfEveryLayer) {
  LayerCase c(make_from<Layer>({{"dropout", Value::real(0.25)}}), {{Shape{3, 5, 7}, Dtype::f32}});
  c.step.seed = 3;
  c.check_all();
}

TEST(DropoutTest, RefusesWhatDoesNotFit) {
  const auto make = [](Value rate) { return error_text([&] { make_from<Layer>({{"dropout", rate}}); }); };
  EXPECT_EQ(make(Value::real(1.0)), "layer \"dropout\": \"dropout\": expected a rate below 1, got 1");
  EXPECT_EQ(make(Value::real(-0.5)), "layer \"dropout\": \"dropout\": expected at least 0, got -0.5");
  EXPECT_EQ(make(Value::boolean(true)), "layer \"dropout\": \"dropout\": expected a number, got true");
}

}  // namespace
}  // namespace lockstep::test
