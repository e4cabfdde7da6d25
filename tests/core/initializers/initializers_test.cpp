#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/model/initializer.h"
#include "tests/support/error_text.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

constexpr std::uint64_t kKey = 0x1234567890ABCDEFull;

std::vector<float> filled(std::unique_ptr<Initializer> initializer, std::size_t count, std::int64_t fan_in = 50, std::int64_t fan_out = 30,
                          std::uint64_t key = kKey) {
  std::vector<float> values(count, -77.0f);
  initializer->fill(values, fan_in, fan_out, key);
  return values;
}

std::vector<float> filled(const char* name, std::size_t count) { return filled(make_from<Initializer>(name), count); }

struct Moments {
  double mean = 0, deviation = 0, largest = 0, skew = 0, kurtosis = 0;
};

Moments moments(const std::vector<float>& values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (const float v : values) m.mean += static_cast<double>(v) / n;
  for (const float v : values) {
    const double d = static_cast<double>(v) - m.mean;
    m.deviation += d * d / n;
    m.skew += d * d * d / n;
    m.kurtosis += d * d * d * d / n;
    m.largest = std::max(m.largest, std::abs(static_cast<double>(v)));
  }
  m.kurtosis /= m.deviation * m.deviation;
  m.deviation = std::sqrt(m.deviation);
  m.skew /= m.deviation * m.deviation * m.deviation;
  return m;
}

void expect_normal(const std::vector<float>& values, double deviation) {
  const Moments m = moments(values);
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(m.mean, 0, 4 * deviation / std::sqrt(n));
  EXPECT_NEAR(m.deviation, deviation, 4 * deviation / std::sqrt(2 * n));
  EXPECT_NEAR(m.skew, 0, 4 * std::sqrt(6 / n));
  EXPECT_NEAR(m.kurtosis, 3, 4 * std::sqrt(24 / n));
}

void expect_uniform(const std::vector<float>& values, double bound) {
  const Moments m = moments(values);
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(m.mean, 0, 4 * bound / std::sqrt(3 * n));
  EXPECT_NEAR(m.deviation, bound / std::sqrt(3.0), 4 * bound / std::sqrt(n));
  EXPECT_NEAR(m.kurtosis, 1.8, 0.05);
  EXPECT_LE(m.largest, bound * (1 + 1e-7));
  EXPECT_GE(m.largest, bound * 0.999);
}

TEST(InitializersTest, ConstantsFillEverything) {
  for (const float v : filled("zeros", 33)) EXPECT_EQ(v, 0.0f);
  for (const float v : filled("ones", 33)) EXPECT_EQ(v, 1.0f);
  for (const float v : filled(make_from<Initializer>({{"constant", Value::real(-0.25)}}), 33)) EXPECT_EQ(v, -0.25f);
}

TEST(InitializersTest, HaveTheirDistributions) {
  constexpr std::size_t kCount = 40001;
  constexpr std::uint64_t kOther = 12345;
  expect_normal(filled(make_from<Initializer>("he_normal"), kCount, 50, 30, kOther), std::sqrt(2.0 / 50));
  expect_normal(filled(make_from<Initializer>({{"he_normal", Value::text("fan_out")}}), kCount, 50, 30, kOther), std::sqrt(2.0 / 30));
  expect_uniform(filled(make_from<Initializer>("he_uniform"), kCount, 50, 30, kOther), std::sqrt(6.0 / 50));
  expect_normal(filled(make_from<Initializer>("glorot_normal"), kCount, 50, 30, kOther), std::sqrt(2.0 / 80));
  expect_uniform(filled(make_from<Initializer>("glorot_uniform"), kCount, 50, 30, kOther), std::sqrt(6.0 / 80));
  expect_normal(filled(make_from<Initializer>({{"normal", Value::real(0.02)}}), kCount, 50, 30, kOther), 0.02);
  expect_uniform(filled(make_from<Initializer>({{"uniform", Value::real(0.3)}}), kCount, 50, 30, kOther), 0.3);
}

TEST(InitializersTest, ValuesAreFunctionsOfKeyAndIndexAlone) {
  for (const char* name : {"he_normal", "glorot_uniform"}) {
    const auto whole = filled(name, 4003);
    const auto part = filled(name, 1001);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin())) << name;
    EXPECT_NE(filled(make_from<Initializer>(name), 4003, 50, 30, kKey + 1), whole) << name;
  }
}

// Golden values: Box and Muller's formula on Philox4x32-10 in Python 3.11, tests/golden/initializers.py.
TEST(InitializersTest, NormalNumbersEqualTheFormula) {
  const auto values = filled(make_from<Initializer>({{"normal", Value::integer(1)}}), 6);
  const std::vector<double> expected = {-0.146560612364, -1.33286169823, 0.569506951586, -0.388710186329, 1.77939831691, 1.49443539126};
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(static_cast<double>(values[i]), expected[i], 6e-8 * std::abs(expected[i])) << i;
}

TEST(InitializersTest, RefusesWrongOptions) {
  EXPECT_EQ(error_text([] {
              make_from<Initializer>({{"normal", Value::integer(-1)}});
            }),
            "initializer \"normal\": \"normal\": expected at least 0, got -1");
  EXPECT_EQ(error_text([] {
              make_from<Initializer>({{"zeros", Value::boolean(false)}});
            }),
            "initializer \"zeros\": \"zeros\": expected true, got false");
  EXPECT_EQ(error_text([] {
              make_from<Initializer>({{"constant", Value::text("x")}});
            }),
            "initializer \"constant\": \"constant\": expected a number, got \"x\"");
}

}  // namespace
}  // namespace lockstep::test
