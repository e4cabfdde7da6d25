#include <gtest/gtest.h>

#include "core/tensor/bfloat16.h"
#include "tests/support/device_case.h"
#include "tests/support/op_case.h"
#include "tests/support/random_values.h"

namespace lockstep::test {
namespace {

constexpr std::size_t kRow = 9;
const TensorSpec kFloats{Shape{9}, Dtype::f32};

OpSpec spec_of(const char* op, std::size_t reads, WriteMode mode) {
  OpSpec spec{.op = op, .layer = "test", .kind = PhaseKind::rows, .writes = {{Role::output, kFloats, mode}}};
  spec.reads.assign(reads, {Role::input, kFloats});
  return spec;
}

TEST(CudaCopyTest, CopiesAddsAndZeroes) {
  for (const std::int64_t rows : {0, 1, 2, 300}) {
    const auto x = random_values<float>(kRow * static_cast<std::size_t>(rows), 1), y = random_values<float>(x.size(), 2);
    std::vector<float> sum = y;
    for (std::size_t i = 0; i < x.size(); ++i) sum[i] += x[i];
    const auto run = [&](const char* op, WriteMode mode, std::size_t skew) {
      OpCase c(cuda_backend(), spec_of(op, 1, mode));
      c.read(x, skew);
      c.write(y);
      c.run({.rows = rows});
      return c.written<float>(0);
    };
    for (const std::size_t skew : {0, 4}) {
      EXPECT_EQ(run("copy", WriteMode::overwrite, skew), x) << rows;
      EXPECT_EQ(run("copy", WriteMode::accumulate, skew), sum) << rows;
      EXPECT_EQ(run("gradient.add", WriteMode::accumulate, skew), sum) << rows;
    }
    OpCase zero(cuda_backend(), spec_of("gradient.zero", 0, WriteMode::overwrite));
    zero.write(y);
    zero.run({.rows = rows});
    EXPECT_EQ(zero.written<float>(0), std::vector<float>(y.size(), 0.0f)) << rows;
  }
}

TEST(CudaCopyTest, CopiesAnyType) {
  const TensorSpec labels{Shape{3}, Dtype::i64};
  OpCase c(cuda_backend(), {.op = "copy", .layer = "test", .kind = PhaseKind::rows, .reads = {{Role::input, labels}}, .writes = {{Role::output, labels}}});
  c.read(std::vector<std::int64_t>{1, -2, 3, 4, 5, 6});
  c.write(std::vector<std::int64_t>(6, 0));
  c.run({.rows = 2});
  EXPECT_EQ(c.written<std::int64_t>(0), (std::vector<std::int64_t>{1, -2, 3, 4, 5, 6}));
}

/// In bf16 the places of rounding show.
TEST(CudaCopyTest, SumsHaveTheCpusBits) {
  for (const std::size_t inputs : {2, 3, 4, 5})
    for (const Shape& shape : {Shape{16}, Shape{3, 3}})
      expect_like_cpu([] { return make_from<Layer>("add"); }, std::vector<TensorSpec>(inputs, TensorSpec{shape}),
                      {.f32_tolerance = 0, .bf16_tolerance = 0, .f16_tolerance = 1.0 / 256});
}

TEST(CudaCopyTest, Flattens) {
  expect_like_cpu([] { return make_from<Layer>("flatten"); }, {{{3, 2, 2}}}, {.f32_tolerance = 0, .bf16_tolerance = 0});
}

}  // namespace
}  // namespace lockstep::test
