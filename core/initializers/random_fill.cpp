#include "core/initializers/random_fill.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "core/base/philox.h"

namespace lockstep {
namespace {

/// In (0, 1): the middle of one of 2^32 cells.
double unit(std::uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }

/// ln x of a positive normal number: x = 2^e m with m in [sqrt(1/2), sqrt(2)), ln m = 2 artanh((m - 1) / (m + 1)) as a series.
double natural_logarithm(double x) {
  constexpr std::uint64_t kLowest = 0x3FE6A09E667F3BCDull;  // sqrt(1/2)
  const std::uint64_t offset = std::bit_cast<std::uint64_t>(x) - kLowest;
  const double exponent = static_cast<double>(static_cast<std::int64_t>(offset) >> 52);
  const double m = std::bit_cast<double>((offset & 0x000FFFFFFFFFFFFFull) + kLowest);
  const double s = (m - 1.0) / (m + 1.0), s2 = s * s;
  double sum = 0.0;
  for (int k = 23; k >= 3; k -= 2) sum = sum * s2 + 1.0 / k;
  return exponent * std::numbers::ln2 + 2.0 * s * (1.0 + s2 * sum);
}

struct CosineSine {
  double cosine, sine;
};

/// Of 2 pi v: Taylor series on an eighth of a turn to each side of the nearest quarter.
CosineSine turn(double v) {
  const int quarter = static_cast<int>(v * 4.0 + 0.5);
  const double angle = (v - quarter * 0.25) * (2.0 * std::numbers::pi), square = angle * angle;
  double cosine = 0.0, sine = 0.0;
  for (int k = 16; k >= 2; k -= 2) {
    cosine = (1.0 + cosine) * -square / (k * (k - 1));
    sine = (1.0 + sine) * -square / (k * (k + 1));
  }
  cosine += 1.0;
  sine = angle * (1.0 + sine);
  switch (quarter % 4) {
    case 0:
      return {cosine, sine};
    case 1:
      return {-sine, cosine};
    case 2:
      return {-cosine, -sine};
    default:
      return {sine, -cosine};
  }
}

}  // namespace

void fill_uniform(std::span<float> values, double bound, std::uint64_t key) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Philox::Words words = Philox::draw(i / 4, 0, key);
    values[i] = static_cast<float>(bound * (2.0 * unit(words.w[i % 4]) - 1.0));
  }
}

void fill_normal(std::span<float> values, double deviation, std::uint64_t key) {
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const Philox::Words words = Philox::draw(i / 4, 0, key);
    const double radius = deviation * std::sqrt(-2.0 * natural_logarithm(unit(words.w[i % 4])));
    const CosineSine direction = turn(unit(words.w[i % 4 + 1]));
    values[i] = static_cast<float>(radius * direction.cosine);
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(radius * direction.sine);
  }
}

}  // namespace lockstep
