#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/cuda/vendor/convolution_plan.h"
#include "core/backend/cuda/vendor/plan_store.h"

namespace lockstep::cuda {

/// What is known of engines and plans for the GPU that vendor_options() names. Lives as long as the process.
PlanStore& plan_store();

/// The engine for a problem: what the plan store says, else cuDNN's first candidate for `reference_rows` that serves
/// `lane_rows` and one row too and builds for `lane_rows`; with VendorOptions::tune the fastest of the first few at
/// `usual_rows`, whatever the store says. Without tuning only the store, the problem and the first two numbers decide, so ranks
/// that share a batch differently take the same engine. None where no deterministic engine keeps the precision. `layer` is for the
/// table of timings. Several threads may call it.
std::optional<EngineFacts> choose_engine(const ConvolutionProblem& problem, std::int64_t reference_rows, std::int64_t lane_rows,
                                         std::int64_t usual_rows, const std::string& layer);

/// The plan of a chosen engine, kept as long as the process: equal layers share it. A compiled one is taken from the plan
/// store if it is there, and put there otherwise. Null where the engine refuses. The first call for a plan must not be while
/// recording. Several threads may call it.
const ConvolutionPlan* plan_of(const ConvolutionProblem& problem, std::int64_t rows, const EngineFacts& facts);

/// Microseconds of each plan on the GPU at hand, all of them for `rows` rows: the median of runs on buffers that the cache does not
/// hold; 0 for null plans, and for all where there is no memory for that.
std::vector<double> microseconds_of(const ConvolutionProblem& problem, std::int64_t rows, const std::vector<const ConvolutionPlan*>& plans);

}  // namespace lockstep::cuda
