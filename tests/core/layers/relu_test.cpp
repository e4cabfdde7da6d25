#include "tests/core/layers/elementwise_cases.h"

namespace lockstep::test {
namespace {

// Golden values: PyTorch 2.15.0, tests/golden/elementwise.py.
TEST(ReluTest, EqualsPyTorch) {
  compare_elementwise("relu", {0, 0, 0, 0, 0, 0, 0, 0, 0, 9.99999997475e-07, 0.20000000298, 0.625999987125, 1.5, 8.75, 30, 100},
                      {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, 1e-10, 0.0);
}

TEST(ReluTest, PassesTheChecksOfEveryLayer) { check_elementwise("relu"); }

}  // namespace
}  // namespace lockstep::test
