#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/device_case.h"
#include "tests/support/op_case.h"
#include "tests/support/random_values.h"

namespace lockstep::test {
namespace {

TEST(CudaDropoutTest, MasksAreTheCpus) {
  for (const Shape& shape : {Shape{1}, Shape{7}, Shape{3, 8}, Shape{5, 67}})
    expect_like_cpu([] { return make_from<Layer>({{"dropout", Value::real(0.3)}}); }, {{shape}},
                    {.rows = 5, .first_row = 3, .f32_tolerance = 0, .bf16_tolerance = 0, .prepare = [](LayerCase& c) {
                       c.name = "stem.dropout";
                       c.step.seed = 77, c.step.epoch = 3, c.step.epoch_position = (std::int64_t{1} << 33) + 5;
                     }});
}

OpSpec spec_of(std::int64_t elements) {
  const TensorSpec row{Shape{elements}, Dtype::f32};
  return {.op = "dropout.mask", .layer = "test", .kind = PhaseKind::rows, .reads = {{Role::input, row}}, .writes = {{Role::output, row}},
          .attributes = {{"rate", 0.5}}};
}

/// Rows that are no whole vectors, addresses that are none, and no rows.
TEST(CudaDropoutTest, TakesAnyView) {
  for (const std::int64_t elements : {1, 4, 8, 13, 24})
    for (const std::int64_t rows : {0, 1, 37})
      for (const std::size_t skew : {0, 4}) {
        const auto x = random_values<float>(static_cast<std::size_t>(elements * rows));
        std::vector<std::vector<float>> results;
        for (Backend* backend : {&cpu_backend(), &cuda_backend()}) {
          OpCase c(*backend, spec_of(elements));
          c.step.seed = 5;
          c.read(x, skew);
          c.write(x, skew);
          c.run({.rows = rows, .first_row = 2});
          results.push_back(c.written<float>(0));
        }
        EXPECT_EQ(results[0], results[1]) << elements << " elements, " << rows << " rows, skew " << skew;
      }
}

TEST(CudaDropoutTest, ADroppedInfinityIsZero) {
  OpCase c(cuda_backend(), spec_of(64));
  c.read(std::vector<float>(64, std::numeric_limits<float>::infinity()));
  c.write(std::vector<float>(64, 1.0f));
  c.run({.rows = 1});
  int dropped = 0;
  for (const float value : c.written<float>(0)) {
    EXPECT_TRUE(value == 0.0f || std::isinf(value));
    dropped += value == 0.0f;
  }
  EXPECT_GT(dropped, 16);
  EXPECT_LT(dropped, 48);
}

}  // namespace
}  // namespace lockstep::test
