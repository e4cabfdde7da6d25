#include <gtest/gtest.h>

#include <limits>

#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "tests/support/device_case.h"
#include "tests/support/op_case.h"
#include "tests/support/random_values.h"

namespace lockstep::test {
namespace {

TEST(CudaElementwiseTest, BitsAreTheCpus) {
  for (const char* layer : {"relu", "tanh", "sigmoid"})
    for (const Shape& shape : {Shape{5, 3, 8}, Shape{7}, Shape{1}, Shape{401}})
      expect_like_cpu([&] { return make_from<Layer>(layer); }, {{shape}}, {.rows = 5, .lanes = 2, .f32_tolerance = 0, .bf16_tolerance = 0});
}

template <class T>
constexpr Dtype kDtype = Dtype::f32;
template <>
constexpr Dtype kDtype<BFloat16> = Dtype::bf16;
template <>
constexpr Dtype kDtype<Float16> = Dtype::f16;

template <class T>
std::vector<T> as(const std::vector<float>& values) {
  std::vector<T> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) store(result[i], values[i]);
  return result;
}
template <class T>
std::vector<float> as_floats(const std::vector<T>& values) {
  std::vector<float> result;
  for (const T value : values) result.push_back(to_float(value));
  return result;
}

template <class T>
void check_views() {
  const TensorSpec row{Shape{13}, kDtype<T>};
  for (const std::int64_t rows : {0, 1, 3, 40})
    for (const std::size_t skew : {std::size_t{0}, sizeof(T), std::size_t{16}})
      for (const WriteMode mode : {WriteMode::overwrite, WriteMode::accumulate}) {
        const auto count = static_cast<std::size_t>(13 * rows);
        const auto dy = as<T>(random_values<float>(count, 1)), y = as<T>(random_values<float>(count, 2)), dx = as<T>(random_values<float>(count, 3));
        OpCase c(cuda_backend(), {.op = "relu.backward", .layer = "test", .kind = PhaseKind::rows, .reads = {{Role::output_gradient, row}, {Role::output, row}},
                                  .writes = {{Role::input_gradient, row, mode}}});
        c.read(dy, skew), c.read(y);
        c.write(dx, skew);
        c.run({.rows = rows});
        std::vector<T> expected = dx;
        for (std::size_t i = 0; i < count; ++i) {
          const float gradient = to_float(y[i]) > 0.0f ? to_float(dy[i]) : 0.0f;
          store(expected[i], mode == WriteMode::accumulate ? to_float(dx[i]) + gradient : gradient);
        }
        EXPECT_EQ(as_floats(c.written<T>(0)), as_floats(expected)) << name_of(kDtype<T>) << ", " << rows << " rows, skew " << skew;
      }
}

TEST(CudaElementwiseTest, TakesAnyViewAndAccumulates) {
  check_views<float>();
  check_views<BFloat16>();
  check_views<Float16>();
}

TEST(CudaElementwiseTest, ANanStaysANan) {
  const TensorSpec row{Shape{8}, Dtype::f32};
  OpCase c(cuda_backend(), {.op = "relu.forward", .layer = "test", .kind = PhaseKind::rows, .reads = {{Role::input, row}}, .writes = {{Role::output, row}}});
  c.read(std::vector<float>(8, std::numeric_limits<float>::quiet_NaN()));
  c.write(std::vector<float>(8, 0.0f));
  c.run({.rows = 1});
  for (const float value : c.written<float>(0)) EXPECT_NE(value, value);
}

}  // namespace
}  // namespace lockstep::test
