#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "core/tensor/bfloat16.h"
#include "tests/support/layer_case.h"

namespace lockstep::test {
namespace {

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  return most;
}

/// What two roundings in a row may make, relative to a value.
double rounding_of(Dtype dtype) { return dtype == Dtype::bf16 ? 1.0 / 64 : dtype == Dtype::f16 ? 1.0 / 512 : 1e-6; }

bool is_float(Dtype dtype) { return dtype == Dtype::f32 || dtype == Dtype::bf16 || dtype == Dtype::f16; }

}  // namespace

double LayerCase::objective() {
  if (spec_.outputs.empty()) {
    const std::vector<double> sums = statistic(0);
    return sums.at(0) / sums.at(1);
  }
  double sum = 0;
  for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
    const std::vector<double> y = output(static_cast<int>(i)), dy = output_gradient(static_cast<int>(i));
    for (std::size_t k = 0; k < y.size(); ++k) sum += y[k] * dy[k];
  }
  return sum;
}

void LayerCase::check_operand(Role role, int index, Role gradient_role) {
  const std::vector<double> values = get(role, index), gradient = get(gradient_role, index);
  const double scale = std::max(largest(gradient), 1e-6);
  const std::size_t stride = std::max<std::size_t>(1, values.size() / static_cast<std::size_t>(probes));
  int probed = 0, kinked = 0;
  for (std::size_t e = 0; e < values.size(); e += stride, ++probed) {
    double loss[5], at[5];
    for (int side = 0; side < 5; ++side) {
      std::vector<double> moved = values;
      moved[e] = at[side] = static_cast<float>(values[e] + (side - 2) * 0.5 * difference);
      set(role, index, moved);
      restore_states();
      run_forward();
      loss[side] = objective();
    }
    const double central = (loss[4] - loss[0]) / (at[4] - at[0]);
    if (std::abs(central - gradient[e]) <= tolerance * scale) continue;
    // With a kink inside the window the slopes on its sides differ, and the gradient lies between them.
    double least = central, most = central;
    for (int side = 0; side < 4; ++side) {
      const double slope = (loss[side + 1] - loss[side]) / (at[side + 1] - at[side]);
      least = std::min(least, slope), most = std::max(most, slope);
    }
    if (gradient[e] >= least - tolerance * scale && gradient[e] <= most + tolerance * scale) {
      ++kinked;
      continue;
    }
    ADD_FAILURE() << "role " << static_cast<int>(role) << " operand " << index << " element " << e << ": finite difference " << central
                  << ", gradient " << gradient[e] << ", scale " << scale;
  }
  set(role, index, values);
  EXPECT_LE(kinked, kinks * probed) << "role " << static_cast<int>(role) << " operand " << index << ": too many probes stand at kinks, of "
                                    << probed;
}

void LayerCase::check_gradients() {
  run_both();
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    if (is_float(inputs_[i].dtype) && !std::isnan(input_gradient(static_cast<int>(i)).at(0)))
      check_operand(Role::input, static_cast<int>(i), Role::input_gradient);
  for (std::size_t i = 0; i < spec_.parameters.size(); ++i) check_operand(Role::parameter, static_cast<int>(i), Role::parameter_gradient);
}

void LayerCase::restore_states() {
  prepare();
  for (int i = 0; i < static_cast<int>(spec_.state.size()); ++i) set(Role::state, i, std::vector<double>(given_.at({Role::state, i})));
}

void LayerCase::run_both() {
  restore_states();
  run_forward();
  if (!spec_.backward.empty()) run_backward();
}

std::map<std::string, std::vector<double>> LayerCase::results() {
  std::map<std::string, std::vector<double>> all;
  const auto keep = [&](Role role, std::size_t count, const std::string& what) {
    for (int i = 0; i < static_cast<int>(count); ++i)
      if (mode_of({role, i}) != WriteMode::skip) all[what + " " + std::to_string(i)] = get(role, i);
  };
  keep(Role::output, spec_.outputs.size(), "output");
  keep(Role::state, spec_.state.size(), "state");
  keep(Role::input_gradient, inputs_.size(), "input gradient");
  keep(Role::parameter_gradient, spec_.parameters.size(), "parameter gradient");
  for (std::size_t i = 0; i < statistics_.size(); ++i)
    if (statistics_[i].reduced) all["statistic " + std::to_string(i)] = statistics_[i].totals;
  return all;
}

void LayerCase::expect_same(const std::map<std::string, std::vector<double>>& expected, double relative, const char* what) {
  const auto found = results();
  for (const auto& [operand, values] : expected) {
    const auto it = found.find(operand);
    if (it == found.end()) continue;
    ASSERT_EQ(it->second.size(), values.size()) << what << ": " << operand;
    const double scale = relative * largest(values);
    for (std::size_t k = 0; k < values.size(); ++k) {
      const double a = values[k], b = it->second[k];
      const bool same =
          std::memcmp(&a, &b, sizeof a) == 0 || (relative > 0 && std::abs(a - b) <= scale) || (std::isnan(a) && std::isnan(b));
      if (same) continue;
      ADD_FAILURE() << what << ": " << operand << " element " << k << ": expected " << a << ", got " << b;
      break;
    }
  }
}

void LayerCase::check_repeatable() {
  run_both();
  const auto first = results();
  run_both();
  expect_same(first, 0.0, "second run");
}

void LayerCase::check_rows_invariance() {
  rows_per_call = 0;
  run_both();
  const auto whole = results();
  for (const std::int64_t part : {1, 2, 5}) {
    rows_per_call = part;
    run_both();
    expect_same(whole, 0.0, "fewer rows a call");
  }
  rows_per_call = 0;
  for (const int part : {1, 3}) {
    lanes_per_call = part;
    run_both();
    expect_same(whole, 0.0, "fewer lanes a call");
  }
  lanes_per_call = 0;
  for (const auto* phases : {&spec_.forward, &spec_.backward})
    for (const Phase& phase : *phases)
      if (phase.kind == PhaseKind::reduce && phase.group_lanes > 0) return;
  const int before = lanes;
  for (const int other : {1, 3, static_cast<int>(rows)}) {
    lanes = other;
    run_both();
    const Dtype dtype = inputs_[0].dtype;
    expect_same(whole, is_float(dtype) ? std::max(2e-5, 1.28 * rounding_of(dtype)) : 2e-2, "other lanes");
  }
  lanes = before;
}

void LayerCase::check_write_modes() {
  const auto modes = input_gradient_modes;
  run_both();
  const auto whole = results();
  std::set<int> adds;
  for (const Phase& phase : spec_.backward)
    for (const Operand& w : phase.writes)
      if (w.role == Role::input_gradient && w.can_accumulate) adds.insert(w.index);
  for (const int index : adds) {
    const auto expected = whole.find("input gradient " + std::to_string(index));
    if (expected == whole.end()) continue;
    input_gradient_modes = {{index, WriteMode::accumulate}};
    fill(Role::input_gradient, index, 7);
    const std::vector<double> before = input_gradient(index);
    run_both();
    const std::vector<double> after = input_gradient(index);
    const double rounding = rounding_of(inputs_[static_cast<std::size_t>(index)].dtype);
    for (std::size_t k = 0; k < after.size(); ++k) {
      const double sum = before[k] + expected->second[k];
      if (std::isnan(after[k]) && std::isnan(sum)) continue;
      EXPECT_NEAR(after[k], sum, rounding * (std::abs(before[k]) + std::abs(expected->second[k])))
          << "accumulated input gradient " << index << " element " << k;
    }
  }
  for (int index = 0; index < static_cast<int>(inputs_.size()); ++index) {
    input_gradient_modes = {{index, WriteMode::skip}};
    run_both();
    expect_same(whole, 0.0, "an input gradient is skipped");
  }
  input_gradient_modes = modes;
}

void LayerCase::check_bf16() {
  std::vector<TensorSpec> specs = inputs_;
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (specs[i].dtype == Dtype::f32 && !std::count(f32_inputs.begin(), f32_inputs.end(), static_cast<int>(i)))
      specs[i].dtype = Dtype::bf16;
  LayerCase twin(layer(), specs, backend_);
  twin.rows = rows, twin.lanes = lanes, twin.step = step, twin.name = name, twin.first_row = first_row;
  prepare();
  const auto rounded = [](std::vector<double> values) {
    for (double& v : values) v = to_float(to_bfloat16(static_cast<float>(v)));
    return values;
  };
  for (int i = 0; i < static_cast<int>(specs.size()); ++i) {
    if (specs[static_cast<std::size_t>(i)].dtype == Dtype::bf16) set_input(i, rounded(input(i)));
    twin.set_input(i, input(i));
  }
  for (int i = 0; i < static_cast<int>(spec_.outputs.size()); ++i) {
    set_output_gradient(i, rounded(output_gradient(i)));
    twin.set_output_gradient(i, output_gradient(i));
  }
  for (int i = 0; i < static_cast<int>(spec_.parameters.size()); ++i) twin.set_parameter(i, parameter(i));
  for (int i = 0; i < static_cast<int>(spec_.state.size()); ++i)
    if (const auto it = given_.find({Role::state, i}); it != given_.end()) twin.set_state(i, it->second);
  run_both();
  twin.run_both();
  twin.expect_same(results(), bf16_tolerance, "bf16");
  twin.check_repeatable();
  twin.check_write_modes();
  twin.check_rows_invariance();
}

void LayerCase::check_all() {
  check_gradients();
  check_repeatable();
  check_write_modes();
  check_rows_invariance();
  check_bf16();
}

}  // namespace lockstep::test
