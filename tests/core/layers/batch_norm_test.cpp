#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

using Numbers = std::vector<double>;

/// The same numbers as `values` in tests/golden/batch_norm.py.
Numbers wave(std::size_t count, double scale, double offset) {
  Numbers numbers;
  for (std::size_t i = 0; i < count; ++i)
    numbers.push_back(static_cast<float>(static_cast<double>((i * 37) % 101) / 50.0 * scale + offset));
  return numbers;
}

Numbers samples_reversed(const Numbers& numbers, std::size_t sample) {
  Numbers reversed;
  for (std::size_t first = numbers.size(); first > 0; first -= sample)
    reversed.insert(reversed.end(), numbers.begin() + static_cast<long>(first - sample), numbers.begin() + static_cast<long>(first));
  return reversed;
}

void expect_near(const Numbers& found, const Numbers& expected, double tolerance, const char* what) {
  ASSERT_GE(found.size(), expected.size()) << what;
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], tolerance) << what << " element " << i;
}

std::unique_ptr<Layer> batch_norm(const Value::Table& options = {}) {
  Value::Table table = options;
  table.emplace_back("batch_norm", Value::boolean(true));
  return make_from<Layer>(table);
}

/// batch_norm fused with an addition, with relu, or both.
std::unique_ptr<Layer> fused(bool add, bool relu, const Value::Table& options = {}) {
  std::unique_ptr<Layer> layer = batch_norm(options);
  if (add) layer = layer->absorb("add");
  if (relu) layer = layer->absorb("relu");
  return layer;
}

/// Five samples [2, 2, 3] in lanes of two, two and one, and a lane without any.
LayerCase golden_case(std::unique_ptr<Layer> layer) {
  const TensorSpec x{{2, 2, 3}, Dtype::f32};
  const bool residual = layer->absorb("add") == nullptr;
  LayerCase c(std::move(layer), residual ? std::vector<TensorSpec>{x, x} : std::vector<TensorSpec>{x});
  c.rows = 5, c.lanes = 4;
  c.set_parameter(0, {0.5, 1.0, -1.5});
  c.set_parameter(1, {0.25, -0.5, 0.125});
  c.set_output_gradient(0, wave(60, 1.0, -1.0));
  return c;
}

// Golden values: PyTorch 2.15.0, tests/golden/batch_norm.py.
TEST(BatchNormTest, ForwardAndBackwardAgreeWithPyTorch) {
  LayerCase c = golden_case(batch_norm());
  c.set_input(0, samples_reversed(wave(60, 1.0, 0.0), 12));
  c.run_forward();
  c.run_backward();
  expect_near(c.output(0),
              {0.412040114, 1.03981411, 0.939589262, 0.583511233, -2.08793378, 0.424026489, 0.754982412, -1.74422514, -0.0915362909,
               0.926453412, -1.40051663, -0.607099235},
              1e-6, "output");
  expect_near(c.input_gradient(0),
              {-0.862188101, -0.527467191, -1.37161851, -0.703996241, -0.103725299, -1.87398911, -0.545804381, 0.231188402, -2.37635946,
               -0.387612432, 0.566102028, 2.32845449},
              1e-6, "input gradient");
  expect_near(c.parameter_gradient(0), {0.90327543, 0.297789067, 0.297789037}, 2e-6, "weight gradient");
  expect_near(c.parameter_gradient(1), {-0.180000067, 0.480000168, -0.880000114}, 2e-6, "bias gradient");
}

TEST(BatchNormTest, MovingAveragesAgreeWithPyTorchOverThreeSteps) {
  LayerCase c = golden_case(batch_norm());
  const Numbers means[3] = {
      {0.0991000012, 0.102400005, 0.0956000015}, {0.237390012, 0.246959999, 0.227239996}, {0.410951018, 0.429463983, 0.391315997}};
  const Numbers variances[3] = {
      {0.935799897, 0.935640395, 0.935640395}, {0.985419452, 0.984638035, 0.984638035}, {1.20907652, 1.20693803, 1.20693803}};
  for (int step = 0; step < 3; ++step) {
    c.set_input(0, samples_reversed(wave(60, 1.0 + step, -0.5 * step), 12));
    c.run_forward();
    expect_near(c.state(0), means[step], 1e-6, "running mean");
    expect_near(c.state(1), variances[step], 1e-6, "running variance");
  }
  c.run_evaluate();
  expect_near(c.output(0),
              {1.21811497, 3.44182539, -0.59684366, 1.49094534, -1.52808285, -1.41605926, 1.76377559, -0.981939077, -2.23527455, 2.03660583,
               -0.435795307, -3.05449033},
              2e-6, "evaluated output");
}

TEST(BatchNormTest, FrozenUsesMovingAveragesAndStillTrainsItsParameters) {
  LayerCase c = golden_case(batch_norm({{"frozen", Value::boolean(true)}}));
  c.set_input(0, samples_reversed(wave(60, 3.0, -1.0), 12));
  c.set_state(0, {0.410951018, 0.429463983, 0.391315997});
  c.set_state(1, {1.20907652, 1.20693803, 1.20693803});
  const Numbers mean = c.state(0);
  c.run_forward();
  c.run_backward();
  EXPECT_EQ(c.state(0), mean);
  expect_near(c.output(0), {1.21811497, 3.44182539, -0.59684366, 1.49094534, -1.52808285, -1.41605926}, 2e-6, "output");
  expect_near(c.input_gradient(0),
              {-0.454717129, -0.236662284, -0.6553725, -0.363773704, -0.0546143726, -0.928444386, -0.272830278, 0.127433538}, 1e-6, "dx");
  expect_near(c.parameter_gradient(0), {1.1815114, 1.19082808, -0.709660769}, 3e-6, "weight gradient");
  expect_near(c.parameter_gradient(1), {-0.180000067, 0.480000168, -0.880000114}, 3e-6, "bias gradient");
}

TEST(BatchNormTest, FusedWithAddAndReluAgreesWithPyTorch) {
  LayerCase c = golden_case(fused(true, true));
  c.set_input(0, samples_reversed(wave(60, 1.0, 0.0), 12));
  c.set_input(1, wave(60, -1.0, 0.7));
  c.run_forward();
  c.run_backward();
  expect_near(c.output(0), {1.11204004, 0.999814093, 0.159589291, 1.08351123, 0, 0, 1.05498242, 0, 0, 1.02645338, 0, 0.0329007506}, 1e-6,
              "output");
  expect_near(c.input_gradient(0),
              {-0.636733651, -0.23170656, -1.62025189, -0.454077661, 0.0399723873, -0.357551813, -0.271421671, 0.0592187792, -0.332202613,
               -0.0887656435, 0.0784651637, 2.116292},
              1e-6, "input gradient");
  expect_near(c.input_gradient(1), {-1, -0.25999999, 0.479999989, -0.800000012, 0, 0, -0.600000024, 0, 0, -0.400000006, 0, -0.939999998},
              1e-7, "residual");
  expect_near(c.parameter_gradient(0), {-0.760817468, -0.65167129, 0.57220602}, 3e-6, "weight gradient");
  expect_near(c.parameter_gradient(1), {-4.9000001, -1.5, -2.65999985}, 3e-6, "bias gradient");
}

TEST(BatchNormTest, FusedForwardHasTheBitsOfTheComposition) {
  LayerCase plain = golden_case(batch_norm()), both = golden_case(fused(true, true));
  both.set_input(1, wave(60, -1.0, 0.7));
  plain.set_input(0, wave(60, 1.0, 0.0));
  both.set_input(0, wave(60, 1.0, 0.0));
  plain.run_forward();
  both.run_forward();
  Numbers expected = plain.output(0);
  const Numbers residual = both.input(1);
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = std::max(0.0f, static_cast<float>(expected[i]) + static_cast<float>(residual[i]));
  EXPECT_EQ(both.output(0), expected);
}

TEST(BatchNormTest, EveryVariantPassesTheChecks) {
  for (const std::int64_t channels : {3, 32, 33})
    for (const bool frozen : {false, true})
      for (const bool add : {false, true})
        for (const bool relu : {false, true}) {
          SCOPED_TRACE(testing::Message() << channels << " channels, frozen " << frozen << ", add " << add << ", relu " << relu);
          const TensorSpec x{{3, 5, channels}, Dtype::f32};
          LayerCase c(fused(add, relu, {{"frozen", Value::boolean(frozen)}}),
                      add ? std::vector<TensorSpec>{x, x} : std::vector<TensorSpec>{x});
          c.rows = 7, c.lanes = 5;
          c.probes = 12;
          c.bf16_tolerance = 6e-2;
          c.difference = 2e-3;
          c.kinks = relu ? 0.4 : 0.0;  // a parameter moves a hundred outputs, some of them across zero
          c.check_all();
        }
}

TEST(BatchNormTest, TakesInputsOfAnyRank) {
  for (const Shape& shape : {Shape{4}, Shape{6, 4}, Shape{2, 3, 2, 4}}) {
    LayerCase c(batch_norm(), {{shape, Dtype::f32}});
    c.rows = 9, c.lanes = 2;
    c.check_gradients();
    EXPECT_EQ(c.spec().parameters[0].shape, (Shape{4}));
  }
}

TEST(BatchNormTest, GroupsOfLanesHaveStatisticsOfTheirOwn) {
  const std::vector<TensorSpec> x = {{{2, 2, 4}, Dtype::f32}};
  LayerCase grouped(batch_norm({{"group_lanes", Value::integer(2)}}), x);
  grouped.rows = 7, grouped.lanes = 4;  // rows 0..3 and 4..6
  grouped.set_parameter(0, {1, 2, 3, 4});
  grouped.run_forward();
  grouped.run_backward();
  Numbers mean(4), variance(4);
  for (const auto& [first, last] : {std::pair<long, long>{0, 4}, {4, 7}}) {
    const auto part = [&](const Numbers& all) { return Numbers(all.begin() + first * 16, all.begin() + last * 16); };
    LayerCase alone(batch_norm({{"momentum", Value::real(1.0)}}), x);
    alone.rows = last - first, alone.lanes = 2;
    alone.set_input(0, part(grouped.input(0)));
    alone.set_output_gradient(0, part(grouped.output_gradient(0)));
    alone.set_parameter(0, {1, 2, 3, 4});
    alone.set_parameter(1, grouped.parameter(1));
    alone.run_forward();
    alone.run_backward();
    expect_near(part(grouped.output(0)), alone.output(0), 1e-6, "output");
    expect_near(part(grouped.input_gradient(0)), alone.input_gradient(0), 1e-5, "input gradient");
    for (std::size_t c = 0; c < 4; ++c) mean[c] += alone.state(0)[c] / 2, variance[c] += alone.state(1)[c] / 2;
  }
  for (std::size_t c = 0; c < 4; ++c) mean[c] *= 0.1, variance[c] = 0.9 + 0.1 * variance[c];
  expect_near(grouped.state(0), mean, 1e-6, "running mean");
  expect_near(grouped.state(1), variance, 1e-6, "running variance");
  grouped.check_repeatable();
  grouped.check_rows_invariance();
}

TEST(BatchNormTest, EmptyGroupsLeaveTheMovingAveragesAlone) {
  LayerCase c(batch_norm({{"group_lanes", Value::integer(1)}, {"momentum", Value::real(1.0)}}), {{{8, 1}, Dtype::f32}});
  c.rows = 1, c.lanes = 4;
  c.set_input(0, {1, 2, 3, 4, 5, 6, 7, 8});
  c.run_forward();
  EXPECT_EQ(c.state(0), Numbers{4.5});
  EXPECT_EQ(c.state(1), Numbers{6.0});
}

TEST(BatchNormTest, VarianceKeepsItsDigitsWhenTheMeanIsLarge) {
  LayerCase c(batch_norm({{"momentum", Value::real(1.0)}}), {{{40, 40, 2}, Dtype::f32}});
  c.rows = 3, c.lanes = 2;
  Numbers x;
  for (int i = 0; i < 4800; ++i) x.push_back(4096.0 + (i % 2 ? 1.0 : 0.0)), x.push_back(i == 0 ? -4096.0 : 4096.0 + (i % 2 ? 0.5 : 0.0));
  c.set_input(0, x);
  c.run_forward();
  EXPECT_FLOAT_EQ(static_cast<float>(c.state(0)[0]), 4096.5f);
  EXPECT_FLOAT_EQ(static_cast<float>(c.state(1)[0]), static_cast<float>(0.25 * 4800 / 4799));
  double mean = 0, m2 = 0;
  for (std::size_t i = 1; i < x.size(); i += 2) mean += x[i] / 4800;
  for (std::size_t i = 1; i < x.size(); i += 2) m2 += (x[i] - mean) * (x[i] - mean);
  EXPECT_NEAR(c.state(1)[1] / (m2 / 4799), 1.0, 1e-6);
}

/// The mean of equal values is rounded, and the square of what is left of them may round below zero.
TEST(BatchNormTest, AConstantChannelStaysFinite) {
  for (const double value : {1.0 / 3, 1e4 / 3, 1e9 / 3, 1281570253945.1094}) {
    for (const std::int64_t rows : {3, 7, 23, 61, 97}) {
      LayerCase c(make_from<Layer>("batch_norm"), {{{5, 3}}});
      c.rows = rows;
      c.lanes = 2;
      c.set_input(0, std::vector<double>(static_cast<std::size_t>(rows * 15), value));
      c.run_forward();
      c.run_backward();
      for (std::size_t k = 4; k < 7; ++k) EXPECT_GE(c.statistic(0)[k], 0.0) << value << " in " << rows << " rows";
      for (const double y : c.output(0)) ASSERT_TRUE(std::isfinite(y)) << value << " in " << rows << " rows";
      for (const double dx : c.input_gradient(0)) ASSERT_TRUE(std::isfinite(dx)) << value << " in " << rows << " rows";
    }
  }
}

TEST(BatchNormTest, NothingIsAbsorbedAfterRelu) {
  EXPECT_EQ(fused(false, true)->absorb("add"), nullptr);
  EXPECT_EQ(fused(true, true)->absorb("relu"), nullptr);
  EXPECT_EQ(batch_norm()->absorb("tanh"), nullptr);
}

std::string message_of(const Layer& layer, const std::vector<TensorSpec>& inputs) {
  try {
    layer.describe(inputs);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::run_file);
    return error.what();
  }
  return "nothing was refused";
}

TEST(BatchNormTest, RefusesWhatItCannotNormalise) {
  EXPECT_EQ(message_of(*batch_norm(), {{Shape{}, Dtype::f32}}), "expected [..., c], got []");
  EXPECT_EQ(message_of(*batch_norm(), {{{4}, Dtype::i64}}), "expected f32, bf16 or f16, got [4] i64");
  EXPECT_EQ(message_of(*batch_norm(), {{{4}, Dtype::f32}, {{4}, Dtype::f32}}), "expected 1 input, got 2");
  EXPECT_EQ(message_of(*fused(true, false), {{{4}, Dtype::f32}, {{5}, Dtype::f32}}), "expected two inputs [4] f32, got [5] f32");
}

}  // namespace
}  // namespace lockstep::test
