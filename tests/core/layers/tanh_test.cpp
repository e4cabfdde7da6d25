#include "tests/core/layers/elementwise_cases.h"

namespace lockstep::test {
namespace {

// Golden values: PyTorch 2.15.0, tests/golden/elementwise.py.
TEST(TanhTest, EqualsPyTorch) {
  compare_elementwise("tanh",
                      {-1, -1, -0.999999988794, -0.995054753687, -0.60436776955, -0.553906928128, -0.0099996664565, -9.99999997475e-07, 0,
                       9.99999997475e-07, 0.197375323089, 0.555291748559, 0.905148253645, 0.99999994978, 1, 1},
                      {0, 0, 2.24111854484e-08, 0.00986603716544, 0.634739599129, 0.693187114971, 0.999900006671, 0.999999999999, 1,
                       0.999999999999, 0.961042981835, 0.691651073982, 0.180706638924, 1.00439961157e-07, 0, 0},
                      2e-7, 2e-7);
}

TEST(TanhTest, PassesTheChecksOfEveryLayer) { check_elementwise("tanh"); }

}  // namespace
}  // namespace lockstep::test
