#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/model/state_member.h"

namespace lockstep {

/// Reads a safetensors file into the parameters and run-scope states that `visit` shows (ParameterStore::visit_weights), under the names
/// of `export_names`: PyTorch's, torchvision's. f16, bf16 and f64 become f32. All or nothing, and strict: a tensor that is missing,
/// unexpected or of another shape is a `content` error that names it. `except` names layers, or parts of their paths ("fc", "layer4.2"),
/// that the file does not touch, whatever it holds of them; one that the model does not have is a `run_file` error. PyTorch's counters
/// `num_batches_tracked` are left out. Returns the names that stay as they are. Whoever owns the parameters commits them afterwards.
std::vector<std::string> read_weights(const std::string& path, std::span<const std::string> except, const VisitState& visit);

}  // namespace lockstep
