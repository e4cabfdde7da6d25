#pragma once

#include <string_view>

#include "core/base/registry.h"

namespace lockstep {

/// A way of clipping reduced, unscaled gradients: a bound and what it bounds. "step.decide" and the update kernels of
/// core/backend/engine_ops.h apply it.
class Clipping {
 public:
  static constexpr std::string_view kPlugInKind = "clipping";

  /// What is bounded, and so what it costs.
  enum class Scope {
    global,   ///< the norm of all gradients together
    tensor,   ///< the norm of each parameter's gradient
    element,  ///< each absolute value
  };

  virtual ~Clipping() = default;
  virtual Scope scope() const = 0;
  /// Above 0.
  virtual double bound() const = 0;
};

}  // namespace lockstep
