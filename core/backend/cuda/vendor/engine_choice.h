#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/backend/cuda/vendor/convolution_plan.h"

namespace lockstep::cuda {

/// The engine for a problem: what the plan store says, else cuDNN's first candidate for `reference_rows` that serves
/// `lane_rows` and one row too and builds for `lane_rows`; with VendorOptions::tune the fastest of the first few at
/// `usual_rows`, which the store then keeps. Without tuning only the problem and the first two numbers decide, so ranks that
/// share a batch differently take the same engine. None where no deterministic engine keeps the precision.
std::optional<EngineFacts> choose_engine(const ConvolutionProblem& problem, std::int64_t reference_rows, std::int64_t lane_rows,
                                         std::int64_t usual_rows);

/// The plan of a chosen engine, kept as long as the process: equal layers share it. A compiled one is taken from the plan
/// store if it is there. Null where the engine refuses. The first call for a plan must not be while recording.
const ConvolutionPlan* plan_of(const ConvolutionProblem& problem, std::int64_t rows, const EngineFacts& facts);

/// Index of the plan that runs fastest on the GPU at hand, all of them for `rows` rows, by the median of runs on buffers that the
/// cache does not hold; 0 where there is no memory for that. Null plans are passed over. `microseconds` is its time, 0 if unknown.
std::size_t fastest(const ConvolutionProblem& problem, std::int64_t rows, const std::vector<const ConvolutionPlan*>& plans, double& microseconds);

}  // namespace lockstep::cuda
