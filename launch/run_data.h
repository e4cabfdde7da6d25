#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model/plan.h"
#include "core/model/snapshot.h"
#include "core/train/program.h"
#include "io/dataset.h"
#include "io/loader.h"
#include "launch/engine.h"
#include "launch/run_config.h"

namespace lockstep {

/// The data sets of a run, in memory. Validation is scaled as training is.
struct RunData {
  Dataset train;
  std::optional<Dataset> validation;
  std::vector<AugmentStep> augmentations;
};

/// What a model of this run file is given, from its declarations alone (`shape` and `classes` of [data]'s fields); nothing where they do not
/// suffice. Samples of that kind: Dataset::noise.
std::optional<std::vector<BatchField>> declared_fields(const RunConfig& config, Dtype activations);

RunData load_run_data(const RunConfig& config);

/// The scalers of a data set by name, as a checkpoint carries them, and back in the order of `fields`.
std::map<std::string, std::vector<double>> fitted_numbers(const Dataset& dataset);
std::vector<Scaler> scalers_of(const Snapshot& checkpoint, const std::vector<DataField>& fields);

/// Batches for training: shuffled and augmented. `data` must outlive it. What a device other than the host can prepare itself stays
/// as stored.
std::unique_ptr<Loader> training_loader(const RunData& data, const RunConfig& config, const Plan& plan, const Engine& engine);
/// Batches for evaluation: each sample once, in the order as stored, unchanged. `dataset` must outlive it.
std::unique_ptr<Loader> evaluation_loader(const Dataset& dataset, const Plan& plan, const Engine& engine);

}  // namespace lockstep
