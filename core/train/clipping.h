#pragma once

#include <string_view>

#include "core/base/registry.h"

namespace lockstep {

/// A way of clipping reduced, unscaled gradients. Norms are over the whole model, from block partials in arena order.
class Clipping {
 public:
  static constexpr std::string_view kPlugInKind = "clipping";

  /// What the rule needs, and so what it costs.
  enum class Scope { global, tensor, element };

  virtual ~Clipping() = default;
  virtual Scope scope() const = 0;
  /// Factor for a gradient whose norm (of the model or of one tensor) is `norm`; unused for `element`.
  virtual double factor(double norm) const = 0;
  /// element: the bound on each absolute value; otherwise 0.
  virtual double bound() const { return 0.0; }
};

}  // namespace lockstep
