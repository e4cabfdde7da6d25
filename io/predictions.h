#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor/shape.h"

namespace lockstep {

/// The model's output for every sample of a data set.
struct Predictions {
  Shape sample;               ///< of one output
  std::vector<float> values;  ///< [samples, ...]
};

/// Commits an HDF5 file with `predictions` f32 [samples, ...] and, for outputs of rank 1, `classes` i64 [samples]: the
/// index of the largest. Replaces an older file as a whole; `io` errors.
void write_predictions(const std::string& path, const Predictions& predictions);

}  // namespace lockstep
