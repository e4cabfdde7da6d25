#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/model/parameter_store.h"
#include "core/train/evaluator.h"
#include "io/checkpoint.h"
#include "io/dataset.h"
#include "launch/engine.h"

namespace lockstep {

/// The path that a command line means: a checkpoint file, a run directory, its `checkpoints`, or `.../latest` or `.../best`.
/// `usage` error where there is none.
std::string checkpoint_path(const std::string& given);

/// A trained model out of a checkpoint, over a data set of the user's: for `evaluate` and `predict`.
struct LoadedModel {
  CheckpointMeta meta;
  RunConfig config;
  Engine engine;
  Dataset data;
  std::shared_ptr<const Plan> plan;  // shared with the evaluator
  std::unique_ptr<ParameterStore> store;
};

/// `with_targets` needs the targets in the data, and adds loss and metrics to the model.
enum class ModelUse { with_targets, inputs_alone };

/// `data_source` is "file.h5:/group". The scaling is that of the training set, as the checkpoint carries it.
/// Collective: an error of one rank is an error of all.
LoadedModel load_model(const std::string& checkpoint, const std::string& data_source, ModelUse use, Communicator& ranks);

}  // namespace lockstep
