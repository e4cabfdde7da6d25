#include "core/train/clipping.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

std::unique_ptr<Clipping> make(const std::string& text) {
  const Value root = parse_run_text("c = " + text, "run.toml");
  return make_plug_in<Clipping>(*root.find("c"));
}

std::string make_error(const std::string& text) {
  try {
    make(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    return error.what();
  }
  return "no error";
}

TEST(ClippingTest, GlobalNormBoundsTheModel) {
  const auto clip = make("{ global_norm = 1.0 }");
  EXPECT_EQ(clip->scope(), Clipping::Scope::global);
  EXPECT_EQ(clip->bound(), 1.0);
}

TEST(ClippingTest, NormIsPerTensor) {
  const auto clip = make("{ norm = 2 }");
  EXPECT_EQ(clip->scope(), Clipping::Scope::tensor);
  EXPECT_EQ(clip->bound(), 2.0);
}

TEST(ClippingTest, ValueBoundsElements) {
  const auto clip = make("{ value = 0.5 }");
  EXPECT_EQ(clip->scope(), Clipping::Scope::element);
  EXPECT_EQ(clip->bound(), 0.5);
}

TEST(ClippingTest, BoundsAreAboveZero) {
  EXPECT_EQ(make_error("{ global_norm = 0 }"), "run.toml:1:7: clipping \"global_norm\": \"global_norm\": expected a norm above 0, got 0");
  EXPECT_EQ(make_error("{ norm = 0 }"), "run.toml:1:7: clipping \"norm\": \"norm\": expected a norm above 0, got 0");
  EXPECT_EQ(make_error("{ value = 0 }"), "run.toml:1:7: clipping \"value\": \"value\": expected a bound above 0, got 0");
  EXPECT_EQ(make_error("{ global_norm = -1 }"), "run.toml:1:7: clipping \"global_norm\": \"global_norm\": expected at least 0, got -1");
}

}  // namespace
}  // namespace lockstep
