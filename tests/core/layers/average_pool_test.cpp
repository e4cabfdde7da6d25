#include "tests/core/layers/pooling_cases.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Layer> average_pool(Value size, Value stride, const char* padding) {
  return make_from<Layer>({{"average_pool", size}, {"stride", stride}, {"padding", Value::text(padding)}});
}

// Golden values: PyTorch 2.15.0, tests/golden/pooling.py.
TEST(AveragePoolTest, EqualsPyTorch) {
  compare_pooling(average_pool(integer_pair(2, 3), integer_pair(1, 2), "valid"), {4, 5, 2}, 1,
                  {-0.104166664, -0.145833328, -0.0416666679, 0.145833328, -0.0625, -0.104166664, 0, -0.0416666679, -0.020833334, -0.0625,
                   0.0416666679, 0},
                  {-0.020833334,
                   -0.104166664,
                   -0.020833334,
                   -0.104166664,
                   0.020833334,
                   -0.145833328,
                   0.0416666679,
                   -0.0416666679,
                   0.0416666679,
                   -0.0416666679,
                   0.0833333284,
                   -0.0833333284,
                   0.0833333284,
                   -0.0833333284,
                   0.0625,
                   -0.0416666567,
                   -0.0208333321,
                   0.0416666679,
                   -0.0208333321,
                   0.0416666679,
                   0.104166664,
                   -0.0625,
                   0.104166664,
                   -0.0625,
                   0.104166664,
                   1.86264515e-09,
                   0,
                   0.0625,
                   0,
                   0.0625,
                   0,
                   -0.0833333358,
                   0,
                   -0.0833333358,
                   0.0625,
                   -0.104166672,
                   0.0625,
                   -0.020833334,
                   0.0625,
                   -0.020833334},
                  3e-8);
}

// Golden values: PyTorch 2.15.0 with count_include_pad=False, tests/golden/pooling.py.
TEST(AveragePoolTest, PaddingIsNotCounted) {
  compare_pooling(average_pool(Value::integer(3), Value::integer(2), "same"), {5, 4, 2}, 1,
                  {-0.25, -0.0625, 0.0833333358, -0.1875, -0.0625, -0.104166664, 0.0416666679, 0, 0.125, -0.375, 0, 0.1875},
                  {-0.03125,
                   -0.15625,
                   0.0104166679,
                   -0.197916672,
                   0.0416666679,
                   -0.0416666679,
                   0.0416666679,
                   -0.0416666679,
                   0.0729166642,
                   -0.135416672,
                   0.0729166567,
                   -0.121527791,
                   0,
                   0.0138888881,
                   0,
                   0.0138888881,
                   0.104166664,
                   0.020833334,
                   0.0624999963,
                   0.0763888881,
                   -0.0416666679,
                   0.055555556,
                   -0.0416666679,
                   0.055555556,
                   0.104166664,
                   -0.104166664,
                   0.125,
                   -0.0694444478,
                   0.0208333321,
                   0.0347222239,
                   0.0208333321,
                   0.0347222239,
                   0,
                   -0.125,
                   0.0625,
                   -0.145833328,
                   0.0625,
                   -0.020833334,
                   0.0625,
                   -0.020833334},
                  3e-8);
}

TEST(AveragePoolTest, PassesTheChecksOfEveryLayer) {
  for (const char* padding : {"same", "valid"})
    for (const std::int64_t stride : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << padding << ", stride " << stride);
      LayerCase c(average_pool(Value::integer(2), Value::integer(stride), padding), {{Shape{5, 6, 3}, Dtype::f32}});
      c.rows = 3;
      c.check_all();
    }
}

TEST(AveragePoolTest, RefusesWhatDoesNotFit) { check_pooling_errors("average_pool"); }

}  // namespace
}  // namespace lockstep::test
