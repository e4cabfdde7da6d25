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

/// The same for a trained model, whose weights are f32: a device that lacks the run's precision takes f32.
Precision measuring_precision(const RunOptions& options, const Backend& backend);

/// The run file's loss scale; for "auto" a dynamic one in f16 and 1 otherwise.
LossScaling choose_loss_scaling(const TrainOptions& options, Precision precision);

/// The model of a run file over the given fields, with loss and metrics. `run_file` errors with their place.
Graph build_graph(const RunConfig& config, const std::vector<BatchField>& fields);

/// The model alone, for `predict`.
Graph build_bare_graph(const RunConfig& config, const std::vector<BatchField>& fields);

/// With loss and metrics, compiled for training with the run's global batch and lanes.
std::shared_ptr<const Plan> compile_model(const RunConfig& config, const std::vector<BatchField>& fields, Precision precision);

}  // namespace lockstep
