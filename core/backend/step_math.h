#pragma once

#include "core/base/formula.h"

namespace lockstep {

/// What a gradient is multiplied by so that its norm stays within `bound`: min(1, bound / (norm + 1e-6)). Pascanu et al. 2013; the
/// epsilon is that of PyTorch's clip_grad_norm_.
LOCKSTEP_FORMULA inline double clip_factor(double norm, double bound) {
  const double factor = bound / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

}  // namespace lockstep
