#include <cmath>
#include <string>

#include "core/backend/cpu/register.h"
#include "core/backend/engine_ops.h"
#include "core/backend/step_math.h"

namespace lockstep::cpu {
namespace {

/// Eight interleaved sums, then a fixed tree: the same bits for a block wherever it is computed.
double sum_of_squares(const float* values, std::int64_t count) {
  double sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int k = 0; k < 8; ++k) sums[k] += static_cast<double>(values[i + k]) * static_cast<double>(values[i + k]);
  for (; i < count; ++i) sums[i % 8] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void squares(const OpSpec&, const KernelCall& call) {
  const float* gradients = static_cast<const float*>(call.reads[0]);
  const Block* blocks = static_cast<const Block*>(call.reads[1]);
  for (std::int64_t b = 0; b < call.rows; ++b) static_cast<double*>(call.writes[0])[b] = sum_of_squares(gradients + blocks[b].offset, blocks[b].elements);
}

/// The scales of tensors hold their sums of squares first.
void scale_tensors(const OpSpec& op, const KernelCall& call, double loss_scale) {
  const double* squares_of_blocks = static_cast<const double*>(call.reads[0]);
  const Block* blocks = static_cast<const Block*>(call.reads[1]);
  std::vector<double> sums(static_cast<std::size_t>(op.attributes.integer("parameters")), 0.0);
  for (std::int64_t b = 0; b < call.rows; ++b) sums[static_cast<std::size_t>(blocks[b].parameter)] += squares_of_blocks[b];
  float* scales = static_cast<float*>(call.writes[2]);
  for (std::size_t p = 0; p < sums.size(); ++p)
    scales[p] = static_cast<float>(clip_factor(std::sqrt(sums[p]) / loss_scale, op.attributes.real("bound")) / loss_scale);
}

void decide(const OpSpec& op, const KernelCall& call) {
  StepBlock& step = *static_cast<StepBlock*>(call.writes[0]);
  const auto losses = static_cast<std::size_t>(op.attributes.integer("losses"));
  StepOutcome outcome;
  for (std::size_t i = 0; i < losses; ++i) {
    const double* totals = static_cast<const double*>(call.reads[2 + i]);
    outcome.loss_sum += totals[0];
    outcome.weight_sum = totals[1];
  }
  if (const void* fault = call.reads[2 + losses]) outcome.fault = *static_cast<const std::int64_t*>(fault);
  double total = 0;
  for (std::int64_t b = 0; b < call.rows; ++b) total += static_cast<const double*>(call.reads[0])[b];
  const double loss_scale = static_cast<double>(step.loss_scale);
  outcome.gradient_norm = std::sqrt(total) / loss_scale;
  outcome.finite = std::isfinite(outcome.loss_sum) && std::isfinite(outcome.gradient_norm) && outcome.fault == 0 ? 1 : 0;
  const std::string& scope = op.attributes.text("scope");
  const double factor = scope == "global" ? clip_factor(outcome.gradient_norm, op.attributes.real("bound")) : 1.0;
  step.gradient_scale = static_cast<float>(factor / loss_scale);
  step.finite = outcome.finite;
  *static_cast<StepOutcome*>(call.writes[1]) = outcome;
  if (scope == "tensor") scale_tensors(op, call, loss_scale);
}

const RegisterKernel registered[] = {{"step.squares", simple_kernel(squares)}, {"step.decide", simple_kernel(decide)}};

}  // namespace
}  // namespace lockstep::cpu
