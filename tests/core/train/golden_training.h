#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/support/small_training.h"

namespace lockstep::test {

// Trainings that PyTorch did as well: weights and samples are a hash of tensor name and place, as tests/golden/recipe_steps.py makes them.

struct Golden {
  std::vector<double> losses, norms, outputs;  ///< outputs: the first few of each of four samples
  std::map<std::string, std::vector<double>> tensors;  ///< one element, and a weighted mean of all
};

/// The finalizer of MurmurHash3.
inline std::uint32_t hash32(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}

/// FNV-1a.
inline std::uint32_t name_key(const std::string& name) {
  std::uint32_t key = 2166136261u;
  for (const char c : name) key = (key ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return key;
}

inline std::uint32_t word(std::uint32_t key, std::int64_t i) { return hash32(hash32(static_cast<std::uint32_t>(i)) ^ key); }
inline double uniform(std::uint32_t key, std::int64_t i) { return static_cast<double>(word(key, i) >> 8) / (1 << 23) - 1.0; }

inline void start(const std::string& name, const Shape& shape, float* values) {
  const std::uint32_t key = name_key(name);
  const bool near_one = shape.rank() == 1 && (name.ends_with("running_var") || name.ends_with("weight"));
  const double bound = shape.rank() > 1 ? std::sqrt(6.0 / static_cast<double>(shape.elements() / shape[0])) : 0.25;
  for (std::int64_t i = 0; i < shape.elements(); ++i) values[i] = static_cast<float>(uniform(key, i) * bound + (near_one ? 1.0 : 0.0));
}

inline void prepare(ParameterStore& store) {
  const Plan& plan = store.plan();
  for (const PlanParameter& p : plan.parameters) start(p.name, p.spec.shape, store.parameters() + p.offset);
  for (std::size_t s = 0; s < plan.states.size(); ++s) start(plan.states[s].name, plan.states[s].spec.spec.shape, store.states()[s].as<float>());
}

/// Labels below `classes`, floats in [-1, 1).
template <int classes>
double element(const BatchField& field, std::int64_t sample, std::int64_t i) {
  const std::uint32_t key = name_key(field.name);
  if (field.spec.dtype == Dtype::i64) return word(key, sample) % classes;
  return uniform(key, sample * field.spec.elements() + i);
}

struct Tolerance {
  double loss, norm, tensor, output;
};

double largest_difference(const std::vector<double>& expected, const auto& actual) {
  EXPECT_GE(actual.size(), expected.size());
  double most = 0;
  for (std::size_t i = 0; i < std::min(expected.size(), actual.size()); ++i)
    most = std::max(most, std::abs(expected[i] - static_cast<double>(actual[i])));
  return most;
}

inline void expect_equal(const Golden& golden, const SmallResult& result, const Tolerance& most) {
  ASSERT_EQ(result.losses.size(), golden.losses.size());
  EXPECT_LT(largest_difference(golden.losses, result.losses), most.loss);
  EXPECT_LT(largest_difference(golden.norms, result.gradient_norms), most.norm);
  std::vector<float> outputs;
  for (std::int64_t sample = 0; sample < 4; ++sample) {
    const auto& one = result.outputs.at(sample);
    ASSERT_GE(one.size(), golden.outputs.size() / 4);
    outputs.insert(outputs.end(), one.begin(), one.begin() + static_cast<std::ptrdiff_t>(golden.outputs.size() / 4));
  }
  EXPECT_LT(largest_difference(golden.outputs, outputs), most.output);
  const std::uint32_t direction = name_key("direction");
  for (const auto& [name, expected] : golden.tensors) {
    ASSERT_TRUE(result.tensors.contains(name)) << name;
    const auto& values = result.tensors.at(name);
    double weighted = 0;
    for (std::size_t i = 0; i < values.size(); ++i) weighted += static_cast<double>(values[i]) * uniform(direction, static_cast<std::int64_t>(i));
    const std::vector<double> actual = {values[name_key(name) % values.size()], weighted / static_cast<double>(values.size())};
    EXPECT_LT(largest_difference(expected, actual), most.tensor) << name;
  }
}

}  // namespace lockstep::test
