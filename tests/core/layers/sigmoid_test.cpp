#include "tests/core/layers/elementwise_cases.h"

namespace lockstep::test {
namespace {

// Golden values: PyTorch 2.15.0, tests/golden/elementwise.py.
TEST(SigmoidTest, EqualsPyTorch) {
  compare_elementwise(
      "sigmoid",
      {3.72007597602e-44, 2.06115361819e-09, 7.48462275106e-05, 0.0474258731776, 0.331812230475, 0.348872258472, 0.497500020889, 0.49999975,
       0.5, 0.50000025, 0.54983399805, 0.651581919063, 0.817574476194, 0.999841563781, 1, 1},
      {3.72007597602e-44, 2.06115361394e-09, 7.48406255528e-05, 0.0451766597309, 0.221712874182, 0.227160405741, 0.249993750104, 0.25, 0.25,
       0.25, 0.247516572638, 0.227022921813, 0.14914645207, 0.000158411117067, 9.34807786734e-14, 0},
      2.5e-7, 2e-7);
}

TEST(SigmoidTest, PassesTheChecksOfEveryLayer) { check_elementwise("sigmoid"); }

}  // namespace
}  // namespace lockstep::test
