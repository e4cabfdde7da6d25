#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

#include "core/backend/cpu/register.h"
#include "core/backend/cpu/simd.h"
#include "core/tensor/bfloat16.h"

namespace lockstep::cpu {

/// What all batch-norm kernels know: the shape of a sample as [positions, channels], the attributes, the element type.
struct BatchNormSpec {
  explicit BatchNormSpec(const OpSpec& spec) {
    const TensorSpec* x = nullptr;
    for (const auto* operands : {&spec.reads, &spec.writes})
      for (const OperandSpec& operand : *operands)
        if (operand.role == Role::input && !x) x = &operand.spec;
    if (x) {
      channels = x->shape[x->shape.rank() - 1];
      positions = x->elements() / channels;
      bf16 = x->dtype == Dtype::bf16;
    } else {
      channels = spec.reads.at(1).spec.elements();
    }
    const Attributes& a = spec.attributes;
    if (a.has("epsilon")) epsilon = a.real("epsilon");
    if (a.has("momentum")) momentum = a.real("momentum");
    if (a.has("relu")) relu = a.integer("relu") != 0;
    if (a.has("add")) add = a.integer("add") != 0;
    if (a.has("groups")) groups = a.integer("groups");
  }

  /// Channels rounded up, so that each row of the workspace is aligned.
  std::int64_t stride() const { return (channels + 15) / 16 * 16; }
  /// Positions summed in f32 before they are added in f64: 16 KiB of f32, at least 16 and at most 256, by the channels alone.
  std::int64_t block() const {
    const std::int64_t fit = 4096 / channels / 4 * 4;
    return fit < 16 ? 16 : fit > 256 ? 256 : fit;
  }

  std::int64_t channels = 0, positions = 0, groups = 1;
  double epsilon = 0, momentum = 0;
  bool bf16 = false, relu = false, add = false;
};

/// A kernel from a function of the specification and the call; the workspace is `rows` rows of f32, one of which is
/// `stride()` long.
class BatchNormKernel : public Kernel {
 public:
  using Run = void (*)(const BatchNormSpec&, const OpSpec&, const KernelCall&);
  BatchNormKernel(const OpSpec& op, Run body, int rows) : spec_(op), op_(op), run_(body), rows_(rows) {}
  void run(const KernelCall& call) const override { run_(spec_, op_, call); }
  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(rows_ * spec_.stride()) * sizeof(float); }
  std::string implementation() const override { return std::string("own ") + simd_level_name(); }

 private:
  BatchNormSpec spec_;
  OpSpec op_;
  Run run_;
  int rows_;
};

inline MakeKernel batch_norm_kernel(BatchNormKernel::Run run, int workspace_rows) {
  return [=](const OpSpec& spec) { return std::make_unique<BatchNormKernel>(spec, run, workspace_rows); };
}

/// The statistics of a group of lanes, as the reduce of moments leaves them: [count, mean[c], m2[c]].
struct Moments {
  Moments(const void* statistic, std::int64_t channels) {
    const double* values = static_cast<const double*>(statistic);
    count = values[0];
    mean = values + 1;
    m2 = values + 1 + channels;
  }
  double count;
  const double *mean, *m2;
};

/// The forward pass of training: y = x * scale + shift.
inline void scale_and_shift(const Moments& moments, double epsilon, const float* weight, const float* bias, std::int64_t channels, float* scale,
                            float* shift) {
  dispatch([=]() LOCKSTEP_INLINE {
    const double share = 1.0 / moments.count;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const double a = static_cast<double>(weight[c]) / __builtin_sqrt(moments.m2[c] * share + epsilon);
      scale[c] = static_cast<float>(a);
      shift[c] = static_cast<float>(static_cast<double>(bias[c]) - moments.mean[c] * a);
    }
  });
}

}  // namespace lockstep::cpu
