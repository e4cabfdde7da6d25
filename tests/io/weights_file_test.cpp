#include "io/weights_file.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"
#include "io/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using test::expect_error;
using testing::TemporaryDirectory;

/// Weights of a body, and of a head of two classes.
struct Model {
  std::vector<float> body = {1, 2, 3}, mean = {4}, head = {5, 6};

  void visit(StateVisitor& visitor) {
    {
      const StatePart part(visitor, "parameters");
      visitor.tensor("body.weight", {body.data(), {Shape{3}, Dtype::f32}});
      visitor.tensor("head.0.weight", {head.data(), {Shape{2, 1}, Dtype::f32}});
    }
    const StatePart part(visitor, "states");
    visitor.tensor("body.running_mean", {mean.data(), {Shape{1}, Dtype::f32}});
  }
  VisitState visitor() {
    return [this](StateVisitor& visitor) { visit(visitor); };
  }
};

class WeightsFileTest : public ::testing::Test {
 protected:
  void add(const std::string& name, const void* data, const Shape& shape, Dtype dtype) { tensors_.push_back({name, {data, {shape, dtype}}}); }
  std::vector<std::string> read(const std::vector<std::string>& except = {}) {
    write_safetensors(path_, tensors_, {});
    return read_weights(path_, except, model_.visitor());
  }
  void expect_refusal(ErrorKind kind, const std::string& text, const std::vector<std::string>& except = {}) {
    expect_error(kind, text, [&] { read(except); });
    EXPECT_EQ(model_.body, (std::vector<float>{1, 2, 3}));
    EXPECT_EQ(model_.head, (std::vector<float>{5, 6}));
  }

  const TemporaryDirectory folder_;
  const std::string path_ = folder_ / "w.safetensors", prefix_ = "\"" + path_ + "\": does not fit this model: ";
  const std::vector<float> three_ = {-1, 0.5, 7}, two_ = {8, 9}, one_ = {0.25};
  std::vector<NamedTensor> tensors_;
  Model model_;
};

TEST_F(WeightsFileTest, TakesEveryFloatType) {
  const std::vector<double> body = {-1, 0.1, 7};
  const std::vector<BFloat16> mean = {to_bfloat16(-3)};
  const std::vector<Float16> head = {to_float16(0.5), to_float16(65504)};
  add("body.weight", body.data(), Shape{3}, Dtype::f64);
  add("body.running_mean", mean.data(), Shape{1}, Dtype::bf16);
  add("head.0.weight", head.data(), Shape{2, 1}, Dtype::f16);
  EXPECT_TRUE(read().empty());
  EXPECT_EQ(model_.body, (std::vector<float>{-1, 0.1f, 7}));
  EXPECT_EQ(model_.mean, (std::vector<float>{-3}));
  EXPECT_EQ(model_.head, (std::vector<float>{0.5, 65504}));
}

TEST_F(WeightsFileTest, CountersOfPyTorchAreLeftOut) {
  const std::int64_t counter = 5;
  add("body.weight", three_.data(), Shape{3}, Dtype::f32);
  add("body.running_mean", one_.data(), Shape{1}, Dtype::f32);
  add("body.num_batches_tracked", &counter, Shape{}, Dtype::i64);
  add("head.0.weight", two_.data(), Shape{2, 1}, Dtype::f32);
  read();
  EXPECT_EQ(model_.head, two_);
}

TEST_F(WeightsFileTest, ExceptedLayersStayWhateverTheFileHoldsOfThem) {
  add("body.weight", three_.data(), Shape{3}, Dtype::f32);
  add("body.running_mean", one_.data(), Shape{1}, Dtype::f32);
  add("head.0.weight", three_.data(), Shape{3, 1}, Dtype::f32);
  add("head.1.bias", one_.data(), Shape{1}, Dtype::f32);
  EXPECT_EQ(read({"head"}), std::vector<std::string>{"head.0.weight"});
  EXPECT_EQ(model_.body, three_);
  EXPECT_EQ(model_.head, (std::vector<float>{5, 6}));
  expect_error(ErrorKind::run_file, "[train] weights: \"except\": the model has no weights of \"hed\"; did you mean \"head.0\"?", [&] { read({"hed"}); });
  expect_error(ErrorKind::run_file, "[train] weights: \"except\": the model has no weights of \"bod\"", [&] { read({"bod"}); });
}

TEST_F(WeightsFileTest, WhatDoesNotFitIsNamedWithShapesAndNothingIsTaken) {
  const std::int64_t integers[] = {1, 2, 3};
  add("body.weight", three_.data(), Shape{3}, Dtype::f32);
  add("head.0.weight", two_.data(), Shape{2, 1}, Dtype::f32);
  expect_refusal(ErrorKind::content, prefix_ + "missing \"body.running_mean\" [1]; \"except\" leaves layers as they begin");
  add("body.running_mean", one_.data(), Shape{1}, Dtype::f32);
  add("bodies.weight", two_.data(), Shape{2}, Dtype::f32);
  expect_refusal(ErrorKind::content, prefix_ + "unexpected \"bodies.weight\" [2];");
  tensors_.pop_back();
  tensors_[1] = {"head.0.weight", {three_.data(), {Shape{3, 1}, Dtype::f32}}};
  expect_refusal(ErrorKind::content, prefix_ + "different \"head.0.weight\": expected [2, 1] f32, got [3, 1] f32;");
  tensors_[1] = {"head.0.weight", {integers, {Shape{2, 1}, Dtype::i64}}};
  expect_refusal(ErrorKind::content, prefix_ + "different \"head.0.weight\": expected [2, 1] f32, got [2, 1] i64;");
  tensors_.clear();
  for (int i = 0; i < 7; ++i) add("x" + std::to_string(i), one_.data(), Shape{1}, Dtype::f32);
  expect_refusal(ErrorKind::content, prefix_ + "missing \"body.weight\" [3], \"head.0.weight\" [2, 1], \"body.running_mean\" [1]; unexpected \"x0\" [1], \"x1\" [1], \"x2\" [1], \"x3\" [1], \"x4\" [1] and 2 more;");
}

}  // namespace
}  // namespace lockstep
