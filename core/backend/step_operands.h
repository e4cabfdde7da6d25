#pragma once

#include <cstdint>

#include "core/backend/engine_ops.h"
#include "core/backend/kernel.h"

namespace lockstep {

/// The operands of one call of "step.decide", as a kernel takes them: addresses of the device.
struct DecideOperands {
  static constexpr int kMostLosses = 64;

  const double* squares = nullptr;
  const Block* blocks = nullptr;
  std::int64_t block_count = 0;
  const double* losses[kMostLosses] = {};
  int loss_count = 0;
  const std::int64_t* fault = nullptr;  ///< may be null
  StepBlock* step = nullptr;
  StepOutcome* outcome = nullptr;
  float* scales = nullptr;  ///< null where tensors are not scaled
  double model_bound = 0;   ///< of the model's norm; 0: none
  double tensor_bound = 0;
};

/// What "step.decide" was made with.
class DecideOptions {
 public:
  explicit DecideOptions(const OpSpec& op);
  DecideOperands operands(const KernelCall& call) const;

 private:
  std::size_t losses_ = 0;
  bool by_tensor_ = false;
  double model_bound_ = 0, tensor_bound_ = 0;
};

}  // namespace lockstep
