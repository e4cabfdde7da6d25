#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/registry.h"
#include "core/model/attributes.h"

namespace lockstep {

/// An optimizer names its update kernel, an element-wise rule over the arenas: see core/backend/engine_ops.h. The kernel
/// updates the parameters and then each slot, in the order of `slots()`. What changes by step (learning_rate, momentum,
/// gradient_scale, updates) it reads from the StepBlock.
class Optimizer {
 public:
  static constexpr std::string_view kPlugInKind = "optimizer";

  virtual ~Optimizer() = default;
  /// Kernel name, such as "sgd.update".
  virtual std::string op() const = 0;
  /// Its constants without weight decay, which the trainer adds per parameter group as "weight_decay".
  virtual Attributes attributes() const = 0;
  /// Arenas of state, such as {"momentum"}.
  virtual std::vector<std::string> slots() const = 0;
  /// Momentum (beta1) where no schedule moves it.
  virtual double momentum() const = 0;
  virtual double weight_decay() const = 0;
  /// Parameter kinds without weight decay: from `except = ["norm", "bias"]`.
  virtual const std::vector<std::string>& no_decay() const = 0;
};

}  // namespace lockstep
