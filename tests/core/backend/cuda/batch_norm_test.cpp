#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/tensor/bfloat16.h"
#include "tests/core/backend/cuda/shifted_op.h"
#include "tests/support/device_case.h"

namespace lockstep::test {
namespace {

struct Fused {
  bool add = false, relu = false;
};
constexpr Fused kFusions[] = {{}, {.relu = true}, {.add = true}, {.add = true, .relu = true}};

std::unique_ptr<const Layer> batch_norm(Fused fused, const Value::Table& options = {}) {
  Value::Table table = options;
  table.emplace_back("batch_norm", Value::boolean(true));
  std::unique_ptr<Layer> layer = make_from<Layer>(table);
  if (fused.add) layer = layer->absorb("add");
  if (fused.relu) layer = layer->absorb("relu");
  return layer;
}

void expect_like_cpu(Fused fused, const Shape& shape, LikeCpu how = {}, const Value::Table& options = {}) {
  SCOPED_TRACE(testing::Message() << shape.text() << (fused.add ? " add" : "") << (fused.relu ? " relu" : "") << ", rows " << how.rows);
  const TensorSpec x{shape, Dtype::f32};
  expect_like_cpu([&] { return batch_norm(fused, options); }, fused.add ? std::vector<TensorSpec>{x, x} : std::vector<TensorSpec>{x}, how);
}

/// Six rows in four lanes: the last has none.
TEST(CudaBatchNormTest, AnyChannelsAreAsOnTheCpu) {
  for (const Fused fused : kFusions) expect_like_cpu(fused, {3, 5, 24});
  for (const std::int64_t channels : {1, 3, 8, 20, 64, 72}) expect_like_cpu({.add = true, .relu = true}, {3, 5, channels});
}

/// A lane has several chunks, the last of them with a few positions, and a block several rounds.
TEST(CudaBatchNormTest, ManyPositionsAreAsOnTheCpu) {
  expect_like_cpu({.relu = true}, {9, 19, 8}, {.rows = 7, .lanes = 2});
  expect_like_cpu({.add = true, .relu = true}, {27, 29, 8}, {.dtypes = {Dtype::bf16}, .rows = 5, .lanes = 3});
  expect_like_cpu({}, {91, 92, 3}, {.dtypes = {Dtype::f32}, .rows = 1, .lanes = 1});
}

TEST(CudaBatchNormTest, OneRowAndOneChannelAreAsOnTheCpu) {
  for (const Fused fused : kFusions) {
    expect_like_cpu(fused, {1}, {.rows = 5, .lanes = 2});
    expect_like_cpu(fused, {7, 3, 8}, {.rows = 1, .lanes = 2});
  }
}

TEST(CudaBatchNormTest, GroupsOfLanesAreAsOnTheCpu) {
  for (const Fused fused : {Fused{}, Fused{.add = true, .relu = true}})
    expect_like_cpu(fused, {4, 3, 8}, {.rows = 11, .lanes = 6}, {{"group_lanes", Value::integer(2)}, {"momentum", Value::real(0.25)}});
}

TEST(CudaBatchNormTest, FrozenStatisticsAreAsOnTheCpu) {
  for (const Fused fused : kFusions)
    for (const std::int64_t channels : {3, 8}) expect_like_cpu(fused, {3, 7, channels}, {}, {{"frozen", Value::boolean(true)}});
}

/// Values 1e4 + {0 ... 1}: an f32 has 10 bits left behind the point. The squares' difference would have none.
TEST(CudaBatchNormTest, ALargeMeanCostsNoDigits) {
  LayerCase c(batch_norm({}), {{{16, 20, 8}, Dtype::f32}}, &cuda_backend());
  c.rows = 4, c.lanes = 2;
  std::vector<double> x(4 * 16 * 20 * 8);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(1e4 + static_cast<double>(i * 37 % 101) / 101.0);
  c.set_input(0, x);
  c.run_forward();
  for (std::size_t channel = 0; channel < 8; ++channel) {
    double mean = 0, m2 = 0;
    for (std::size_t i = channel; i < x.size(); i += 8) mean += x[i] / 1280;
    for (std::size_t i = channel; i < x.size(); i += 8) m2 += (x[i] - mean) * (x[i] - mean);
    EXPECT_NEAR(c.statistic(0)[1 + channel], mean, 1e-7);
    EXPECT_NEAR(c.statistic(0)[9 + channel], m2, 1e-5 * m2);
  }
  EXPECT_EQ(c.statistic(0)[0], 1280);
  // Of equal gradients nothing is left in the weight's, though the mean has no f32 of its own.
  c.set_output_gradient(0, std::vector<double>(x.size(), 1.0));
  c.run_backward();
  for (std::size_t channel = 0; channel < 8; ++channel) EXPECT_NEAR(c.parameter_gradient(0)[channel], 0.0, 1e-2);
}

/// The first values that a thread sees are far from all others, so it measures from a bad place.
TEST(CudaBatchNormTest, OutliersCostFewDigits) {
  LayerCase c(batch_norm({}), {{{16, 16, 1}, Dtype::f32}}, &cuda_backend());
  c.rows = 1, c.lanes = 1;
  std::vector<double> x(256);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = i < 128 ? static_cast<float>(1e4 + static_cast<double>(i % 7)) : static_cast<double>(i % 5);
  c.set_input(0, x);
  c.run_forward();
  double mean = 0, m2 = 0;
  for (const double v : x) mean += v / 256;
  for (const double v : x) m2 += (v - mean) * (v - mean);
  EXPECT_NEAR(c.statistic(0)[1], mean, 1e-3);
  EXPECT_NEAR(c.statistic(0)[2], m2, 1e-6 * m2);
}

TEST(CudaBatchNormTest, EqualValuesHaveNoVariance) {
  LayerCase c(batch_norm({}), {{{16, 17, 3}, Dtype::f32}}, &cuda_backend());
  c.set_input(0, std::vector<double>(6 * 16 * 17 * 3, static_cast<float>(1234.567)));
  c.run_forward();
  for (std::size_t channel = 0; channel < 3; ++channel) {
    EXPECT_NEAR(c.statistic(0)[1 + channel], static_cast<float>(1234.567), 1e-9);
    EXPECT_NEAR(c.statistic(0)[4 + channel], 0.0, 1e-9);
  }
}

TEST(CudaBatchNormTest, ANanStaysInItsChannel) {
  for (const Fused fused : kFusions)
    expect_like_cpu(fused, {5, 4, 8}, {.dtypes = {Dtype::f32}, .prepare = [](LayerCase& c) {
                                         std::vector<double> x(6 * 20 * 8, 0.5);
                                         for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i % 13) / 8;
                                         x[170] = std::numeric_limits<double>::quiet_NaN();
                                         c.set_input(0, x);
                                       }});
  LayerCase c(batch_norm({.relu = true}), {{{5, 4, 8}, Dtype::f32}}, &cuda_backend());
  std::vector<double> x(6 * 20 * 8, 1.0);
  x[170] = std::numeric_limits<double>::quiet_NaN();
  c.set_input(0, x);
  c.run_forward();
  EXPECT_TRUE(std::isnan(c.output(0)[2]));
  EXPECT_FALSE(std::isnan(c.output(0)[3]));
}

OpSpec per_lane(const char* op, Dtype dtype, std::int64_t lane_rows, std::int64_t rows) {
  const TensorSpec x{{40, 8}, dtype}, moments{{17}, Dtype::f64}, sums{{16}, Dtype::f64}, vector{{8}, Dtype::f32};
  OpSpec spec{.op = op, .kind = PhaseKind::per_lane, .lane_rows = lane_rows, .max_rows = rows};
  spec.attributes = {{"epsilon", 1e-5}, {"momentum", 0.1}, {"relu", std::int64_t{1}}, {"add", std::int64_t{1}}};
  if (spec.op == "batch_norm.moments") {
    spec.reads = {{Role::input, x}};
    spec.writes = {{Role::statistic, moments}};
  } else if (spec.op == "batch_norm.backward_sums") {
    spec.reads = {{Role::input, x}, {Role::output_gradient, x}, {Role::statistic, moments}, {Role::output, x}};
    spec.writes = {{Role::statistic, sums},
                   {Role::parameter_gradient, vector},
                   {Role::parameter_gradient, vector},
                   {Role::input_gradient, x, WriteMode::accumulate}};
  } else if (spec.op == "batch_norm.normalize") {
    spec.kind = PhaseKind::rows;
    spec.reads = {{Role::input, x}, {Role::parameter, vector}, {Role::parameter, vector}, {Role::statistic, moments}, {Role::input, x}};
    spec.writes = {{Role::output, x}};
  } else {
    spec.kind = PhaseKind::rows;
    spec.reads = {{Role::input, x},           {Role::output_gradient, x}, {Role::parameter, vector},
                  {Role::statistic, moments}, {Role::statistic, sums},    {Role::output, x}};
    spec.writes = {{Role::input_gradient, x, WriteMode::accumulate}};
  }
  return spec;
}

template <class T>
std::vector<T> numbers(std::size_t count, std::size_t step) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) store(values[i], static_cast<float>(i * step % 97) / 64 - 0.75f);
  return values;
}

/// The bits of an op's results, its sample operands `shift` elements behind aligned addresses.
template <class T>
std::vector<std::vector<std::byte>> results(const char* op, std::size_t shift) {
  const OpSpec spec = per_lane(op, std::is_same_v<T, float> ? Dtype::f32 : Dtype::bf16, 9, 16);
  const auto operands = [&](const std::vector<OperandSpec>& all) {
    std::vector<ShiftedOperand> made;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const TensorSpec& one = all[i].spec;
      if (one.dtype == Dtype::f64) {
        std::vector<double> values(static_cast<std::size_t>(2 * one.elements()), 0.25);
        values[0] = 640;
        made.push_back(shifted(values));
      } else if (one.shape.rank() == 1) {
        made.push_back(shifted(numbers<float>(16, 7 + i)));
      } else {
        made.push_back(shifted(numbers<T>(16 * 320, 31 + i), shift));
      }
    }
    return made;
  };
  const bool lanes = spec.kind == PhaseKind::per_lane;
  std::vector<std::int64_t> strides;
  for (const OperandSpec& w : spec.writes) strides.push_back(w.role == Role::input_gradient ? 0 : w.spec.bytes());
  KernelCall call{.rows = 16};
  if (lanes) call.lanes = 2, call.lane_rows = 9, call.lane_strides = strides;
  return run_shifted(spec, operands(spec.reads), operands(spec.writes), call);
}

TEST(CudaBatchNormTest, AddressesOfAnyElementGiveTheSameBits) {
  for (const char* op : {"batch_norm.moments", "batch_norm.backward_sums", "batch_norm.normalize", "batch_norm.backward"})
    for (const std::size_t shift : {1, 3}) {
      EXPECT_EQ(results<float>(op, shift), results<float>(op, 0)) << op;
      EXPECT_EQ(results<BFloat16>(op, shift), results<BFloat16>(op, 0)) << op;
    }
}

TEST(CudaBatchNormTest, WithoutRowsLanesGiveZeros) {
  const std::vector<std::byte> anything(3 * 17 * 8, std::byte{0x5A});
  const std::vector<std::int64_t> strides = {17 * 8};
  const auto written = run_shifted(per_lane("batch_norm.moments", Dtype::f32, 2, 6), {shifted(std::vector<float>(8))}, {{anything}},
                                   {.rows = 0, .lanes = 3, .lane_rows = 2, .lane_strides = strides});
  EXPECT_EQ(written.at(0), std::vector<std::byte>(3 * 17 * 8));
}

TEST(CudaBatchNormTest, UnwantedGradientsAreLeftOut) {
  OpSpec spec = per_lane("batch_norm.backward_sums", Dtype::f32, 2, 2);
  spec.writes[3].mode = WriteMode::skip;
  const auto x = shifted(numbers<float>(2 * 320, 5));
  const auto moments = shifted(std::vector<double>(17, 1.0));
  const std::vector<double> none(16, 7.0);
  const auto all =
      run_shifted(spec, {x, x, moments, x}, {shifted(none), shifted(numbers<float>(8, 1)), shifted(numbers<float>(8, 1)), {}}, {.rows = 2});
  const auto some = run_shifted(spec, {x, x, moments, x}, {shifted(none), {}, {}, {}}, {.rows = 2});
  EXPECT_EQ(all[0], some[0]);
  EXPECT_NE(all[0], shifted(none).bytes);
}

}  // namespace
}  // namespace lockstep::test
