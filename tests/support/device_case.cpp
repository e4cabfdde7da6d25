#include "tests/support/device_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include <gtest/gtest.h>

#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep::test {

namespace {

using Results = std::map<std::string, std::vector<double>>;

double rounded(double value, Dtype dtype) {
  const auto f = static_cast<float>(value);
  return dtype == Dtype::bf16 ? to_float(to_bfloat16(f)) : dtype == Dtype::f16 ? to_float(to_float16(f)) : value;
}

std::vector<TensorSpec> in_dtype(std::vector<TensorSpec> inputs, Dtype dtype, const LikeCpu& how) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dtype == Dtype::f32 && !std::count(how.f32_inputs.begin(), how.f32_inputs.end(), static_cast<int>(i)))
      inputs[i].dtype = dtype;
  return inputs;
}

void settle(LayerCase& c, const LikeCpu& how) {
  c.rows = how.rows, c.lanes = how.lanes, c.first_row = how.first_row, c.integer_limit = how.integer_limit;
  if (how.prepare) how.prepare(c);
}

/// The same operands on both sides, rounded to the type.
void share_operands(LayerCase& cpu, LayerCase& cuda, Dtype dtype) {
  for (int i = 0; i < static_cast<int>(cuda.input_specs().size()); ++i) {
    std::vector<double> values = cpu.input(i);
    if (cuda.input_specs()[static_cast<std::size_t>(i)].dtype == dtype)
      for (double& v : values) v = rounded(v, dtype);
    cpu.set_input(i, values), cuda.set_input(i, values);
  }
  for (int i = 0; i < static_cast<int>(cuda.spec().outputs.size()); ++i) {
    std::vector<double> values = cpu.output_gradient(i);
    for (double& v : values) v = rounded(v, dtype);
    cpu.set_output_gradient(i, values), cuda.set_output_gradient(i, values);
  }
  for (int i = 0; i < static_cast<int>(cuda.spec().parameters.size()); ++i) cuda.set_parameter(i, cpu.parameter(i));
  for (int i = 0; i < static_cast<int>(cuda.spec().state.size()); ++i) cuda.set_state(i, cpu.state(i));
}

void compare(const Results& expected, const Results& found, double tolerance, const std::string& what) {
  for (const auto& [operand, values] : expected) {
    const auto it = found.find(operand);
    if (it == found.end()) {
      ADD_FAILURE() << what << ": CUDA has no " << operand;
      continue;
    }
    ASSERT_EQ(values.size(), it->second.size()) << what << ": " << operand;
    double largest = 0;
    for (const double v : values)
      if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
    // A statistic holds counts, means and sums, each with its own size.
    const bool each = operand.starts_with("statistic");
    for (std::size_t k = 0; k < values.size(); ++k) {
      const double a = values[k], b = it->second[k];
      if (a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance * (each ? std::max(1.0, std::abs(a)) : largest)) continue;
      ADD_FAILURE() << what << ": " << operand << " element " << k << " of " << values.size() << ": the CPU has " << a << ", CUDA has " << b;
      break;
    }
  }
}

}  // namespace

void expect_like_cpu(const std::function<std::unique_ptr<const Layer>()>& make, const std::vector<TensorSpec>& inputs, const LikeCpu& how) {
  for (const Dtype dtype : how.dtypes) {
    SCOPED_TRACE(std::string("with ") + std::string(name_of(dtype)));
    LayerCase cpu(make(), in_dtype(inputs, dtype == Dtype::f16 ? Dtype::f32 : dtype, how));
    LayerCase cuda(make(), in_dtype(inputs, dtype, how), &cuda_backend());
    settle(cpu, how), settle(cuda, how);
    share_operands(cpu, cuda, dtype);
    const double tolerance = dtype == Dtype::f32 ? how.f32_tolerance : dtype == Dtype::bf16 ? how.bf16_tolerance : how.f16_tolerance;
    if (!cuda.spec().forward.empty()) {
      cpu.run_both(), cuda.run_both();
      compare(cpu.results(), cuda.results(), tolerance, "training");
      EXPECT_EQ(cuda.fault(), 0);
      cuda.check_repeatable();
      if (how.any_rows) cuda.check_rows_invariance();
      if (!cuda.spec().backward.empty()) cuda.check_write_modes();
    }
    if (!cuda.spec().evaluate.empty()) {
      cpu.run_evaluate(), cuda.run_evaluate();
      const auto outputs = [](LayerCase& c) {
        Results all = c.results();
        std::erase_if(all, [](const auto& entry) { return !entry.first.starts_with("output") && !entry.first.starts_with("statistic"); });
        return all;
      };
      compare(outputs(cpu), outputs(cuda), tolerance, "evaluation");
    }
  }
}

}  // namespace lockstep::test
