#include <gtest/gtest.h>

#include "tests/core/backend/cuda/shifted_op.h"
#include "tests/support/device_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<const Layer> mean_squared_error() { return make_from<Loss>({{"mean_squared_error", Value::text("target")}}); }
std::unique_ptr<const Layer> mean_absolute_error() { return make_from<Metric>("mean_absolute_error"); }

/// Rows of one element, of a part of a warp, of whole vectors, and of as many as a block takes.
const Shape kShapes[] = {{1}, {5}, {4, 8}, {37}, {1024}, {1237}};

TEST(CudaErrorsTest, TheSquaredErrorIsAsOnTheCpu) {
  for (const Shape& shape : kShapes)
    for (const bool weighted : {false, true}) {
      SCOPED_TRACE(testing::Message() << shape.text() << ", weighted " << weighted);
      std::vector<TensorSpec> inputs(2, {shape, Dtype::f32});
      if (weighted) inputs.push_back({{}, Dtype::f32});
      LikeCpu how{.f32_inputs = {1, 2}, .rows = 7};
      how.prepare = [&](LayerCase& c) {
        c.step.loss_scale = 8;
        c.input_gradient_modes = {{1, WriteMode::skip}};
        if (!weighted) return;
        c.set_input(2, {0.5, 1.0, 0.0, 2.0, 0.25, 3.0, 1.5});
        c.input_gradient_modes.push_back({2, WriteMode::skip});
      };
      expect_like_cpu(mean_squared_error, inputs, how);
    }
}

TEST(CudaErrorsTest, TheAbsoluteErrorIsAsOnTheCpu) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(shape.text());
    expect_like_cpu(mean_absolute_error, {{shape, Dtype::f32}, {shape, Dtype::f32}}, {.f32_inputs = {1}, .rows = 7});
  }
}

TEST(CudaErrorsTest, AddressesOfAnyElementGiveTheSameBits) {
  const TensorSpec x{{16}, Dtype::f32}, loss{{2}, Dtype::f64};
  const OpSpec spec{.op = "mean_squared_error.backward",
                    .reads = {{Role::input, x}, {Role::input, x}, {Role::statistic, loss}},
                    .writes = {{Role::input_gradient, x, WriteMode::accumulate}},
                    .lane_rows = 3,
                    .max_rows = 3};
  std::vector<float> prediction(48), target(48), gradient(48);
  for (std::size_t i = 0; i < 48; ++i)
    prediction[i] = static_cast<float>(i) / 7, target[i] = static_cast<float>(i) / 5, gradient[i] = static_cast<float>(i);
  const auto run = [&](std::size_t a, std::size_t b, std::size_t c) {
    return run_shifted(spec, {shifted(prediction, a), shifted(target, b), shifted(std::vector<double>{0.0, 3.0})}, {shifted(gradient, c)},
                       {.rows = 3});
  };
  const auto aligned = run(0, 0, 0);
  EXPECT_EQ(run(1, 0, 0), aligned);
  EXPECT_EQ(run(0, 2, 0), aligned);
  EXPECT_EQ(run(0, 0, 3), aligned);
}

}  // namespace
}  // namespace lockstep::test
