#pragma once

#include <cudnn.h>

#include <string>
#include <string_view>

#include "core/backend/cuda/vendor/convolution_plan.h"
#include "core/backend/cuda/vendor/plan_file.h"
#include "core/tensor/stream.h"

namespace lockstep::cuda {

/// Throws `io` with the library's own words: `cuda: cudnn: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED`.
void check(cudnnStatus_t status, std::string_view what);

/// The handle bound to a stream, made at its first use, which must not be while the stream records. Handles live as long as
/// the process: a stream that is made later at the same address finds a handle that fits it.
cudnnHandle_t cudnn_handle(StreamView stream);

/// The GPU that plans are for: as vendor_options() says.
PlanTarget plan_target();
/// Its model, the driver (0 where the GPU is described only) and the version of cuDNN.
PlanDevice plan_device();

/// `9.19.0`
std::string cudnn_version();

}  // namespace lockstep::cuda
