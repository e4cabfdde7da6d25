#pragma once

#include <cstdint>

namespace lockstep {

/// What changes from step to step. On a GPU it lies in device memory, so that a captured step need not change.
struct StepBlock {
  std::uint64_t seed = 0;
  std::int64_t step = 0;            ///< batches consumed before this one
  std::int64_t updates = 0;         ///< updates applied, this one included: the optimizer's t
  std::int64_t epoch = 0;           ///< from 0
  std::int64_t epoch_position = 0;  ///< position in the epoch of the batch's first sample
  std::int64_t batch_samples = 0;   ///< samples of the global batch
  float learning_rate = 0;
  float momentum = 0;         ///< momentum or beta1
  float gradient_scale = 1;   ///< clip factor times 1 / loss_scale
  float loss_scale = 1;
  std::int32_t finite = 1;    ///< 0 skips the update
};

}  // namespace lockstep
