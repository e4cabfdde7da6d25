#include <gtest/gtest.h>

#include "tests/support/error_text.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

TEST(FlattenTest, KeepsMemoryOrder) {
  LayerCase c(make_from<Layer>("flatten"), {{Shape{2, 3, 2}, Dtype::f32}});
  EXPECT_EQ(c.spec().outputs[0].shape.text(), "[12]");
  c.rows = 3;
  c.run_forward();
  c.run_backward();
  EXPECT_EQ(c.output(0), c.input(0));
  EXPECT_EQ(c.input_gradient(0), c.output_gradient(0));
}

TEST(FlattenTest, PassesTheChecksOfEveryLayer) {
  LayerCase c(make_from<Layer>("flatten"), {{Shape{2, 3, 2}, Dtype::f32}});
  c.check_all();
}

TEST(FlattenTest, RefusesWhatDoesNotFit) {
  const TensorSpec x{Shape{2}, Dtype::f32}, bytes{Shape{2}, Dtype::u8};
  EXPECT_EQ(error_text([&] { make_from<Layer>("flatten")->describe(std::vector{x, x}); }), "expected one input, got 2");
  EXPECT_EQ(error_text([&] { make_from<Layer>("flatten")->describe(std::vector{bytes}); }), "expected f32, bf16 or f16, got u8");
}

}  // namespace
}  // namespace lockstep::test
