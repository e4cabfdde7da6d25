// Layers that NVIDIA's libraries serve, in the shapes of the recipes' layers. In the build without a GPU the CPU's engine lends the
// kernels, so there these tests show that the tests can pass.
#include <gtest/gtest.h>

#include "tests/support/device_case.h"

namespace lockstep::test {
namespace {

struct Convolution {
  Shape input;
  int filters, size, stride;
};
// Stem, 3x3, 1x1 up and down, strides, a batch of odd channels.
const Convolution kConvolutions[] = {{{20, 20, 3}, 16, 7, 2}, {{9, 9, 16}, 16, 3, 1},  {{7, 7, 32}, 64, 1, 1}, {{7, 7, 64}, 16, 1, 1},
                                     {{9, 9, 16}, 32, 3, 2}, {{8, 8, 32}, 64, 1, 2}, {{5, 6, 7}, 5, 3, 1}};

std::unique_ptr<const Layer> make(const Convolution& c, bool bias = false) {
  return make_from<Layer>({{"conv2d", Value::integer(c.filters)}, {"size", Value::integer(c.size)}, {"stride", Value::integer(c.stride)},
                           {"padding", Value::text("same")}, {"bias", Value::boolean(bias)}});
}

std::unique_ptr<const Layer> make_dense(int outputs) { return make_from<Layer>({{"dense", Value::integer(outputs)}}); }

TEST(CudaVendorLayersTest, ConvolutionsAreAsOnTheCpu) {
  for (const Convolution& c : kConvolutions) {
    SCOPED_TRACE(testing::Message() << c.input.text() << " to " << c.filters << ", " << c.size << "x" << c.size << " stride " << c.stride);
    expect_like_cpu([&] { return make(c); }, {{c.input}}, {.any_rows = false});
  }
  expect_like_cpu([&] { return make(kConvolutions[1], true); }, {{kConvolutions[1].input}}, {.any_rows = false});
}

TEST(CudaVendorLayersTest, DenseLayersAreAsOnTheCpu) {
  for (const auto& [inputs, outputs] : {std::pair{128, 10}, {64, 1000}, {9, 7}})
    expect_like_cpu([&] { return make_dense(outputs); }, {{Shape{inputs}}}, {.rows = 16, .any_rows = false});
}

/// Twenty runs of everything a layer computes, for several numbers of rows: one set of bits each.
void expect_one_result(const std::function<std::unique_ptr<const Layer>()>& layer, const Shape& input) {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16})
    for (const std::int64_t rows : {1, 2, 8, 64, 256}) {
      LayerCase c(layer(), {{input, dtype}}, &cuda_backend());
      c.rows = rows;
      c.lanes = static_cast<int>(std::min<std::int64_t>(rows, 16));
      c.run_both();
      const auto first = c.results();
      for (int repeat = 1; repeat < 20; ++repeat) {
        c.run_both();
        ASSERT_EQ(c.results(), first) << name_of(dtype) << ", " << rows << " rows, repeat " << repeat;
      }
    }
}

TEST(CudaVendorLayersTest, TwentyConvolutionsGiveTheSameBits) {
  expect_one_result([] { return make({{5, 5, 16}, 16, 3, 1}); }, {5, 5, 16});
  expect_one_result([] { return make({{6, 6, 16}, 32, 1, 2}); }, {6, 6, 16});
}

TEST(CudaVendorLayersTest, TwentyDenseLayersGiveTheSameBits) { expect_one_result([] { return make_dense(24); }, {40}); }

}  // namespace
}  // namespace lockstep::test
