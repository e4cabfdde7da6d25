#pragma once

#include <cstdint>

#include "core/backend/step_operands.h"
#include "core/base/formula.h"

namespace lockstep {

/// What a gradient is multiplied by so that its norm stays within `bound`: min(1, bound / (norm + 1e-6)). Pascanu et al. 2013; the
/// epsilon is that of PyTorch's clip_grad_norm_.
LOCKSTEP_FORMULA inline double clip_factor(double norm, double bound) {
  const double factor = bound / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

/// Where block `first` is its parameter's first one: writes the scale of the parameter's gradient. Squares are of gradients that the
/// loss scale still multiplies, here and below.
LOCKSTEP_FORMULA inline void scale_tensor(const DecideOperands& o, std::int64_t first) {
  const int parameter = o.blocks[first].parameter;
  if (first > 0 && o.blocks[first - 1].parameter == parameter) return;
  double squares = 0;
  for (std::int64_t b = first; b < o.block_count && o.blocks[b].parameter == parameter; ++b) squares += o.squares[b];
  const double loss_scale = static_cast<double>(o.step->loss_scale);
  o.scales[parameter] = static_cast<float>(clip_factor(__builtin_sqrt(squares) / loss_scale, o.tensor_bound) / loss_scale);
}

/// Fills in the outcome and the step's gradient_scale and finite from the sum of all blocks' squares, added in order.
LOCKSTEP_FORMULA inline void decide_step(const DecideOperands& o, double squares) {
  const double loss_scale = static_cast<double>(o.step->loss_scale);
  const double norm = __builtin_sqrt(squares) / loss_scale;
  double loss_sum = 0, weight_sum = 0;
  for (int l = 0; l < o.loss_count; ++l) {
    loss_sum += o.losses[l][0];
    weight_sum = o.losses[l][1];
  }
  const std::int64_t fault = o.fault ? *o.fault : 0;
  // An infinity or a NaN is not 0 away from itself.
  const bool finite = norm - norm == 0.0 && loss_sum - loss_sum == 0.0 && fault == 0;
  *o.outcome = {loss_sum, weight_sum, norm, fault, finite ? 1 : 0};
  o.step->finite = finite ? 1 : 0;
  o.step->gradient_scale = static_cast<float>((o.model_bound > 0.0 ? clip_factor(norm, o.model_bound) : 1.0) / loss_scale);
}

}  // namespace lockstep
