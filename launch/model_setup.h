#pragma once

#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/model/plan.h"
#include "core/train/batch_source.h"
#include "launch/run_config.h"

namespace lockstep {

/// The run file's precision; for "auto" the one that the backend takes first. `run_file` error where it has not the one asked for.
Precision choose_precision(const RunOptions& options, const Backend& backend);

/// The model of a run file over the given fields, with loss and metrics. `run_file` errors with their place.
Graph build_graph(const RunConfig& config, const std::vector<BatchField>& fields);

/// The model alone, for `predict`.
Graph build_bare_graph(const RunConfig& config, const std::vector<BatchField>& fields);

/// With loss and metrics, compiled for training with the run's global batch and lanes.
std::shared_ptr<const Plan> compile_model(const RunConfig& config, const std::vector<BatchField>& fields, Precision precision);

}  // namespace lockstep
