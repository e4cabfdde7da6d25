#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "distributed/communicator.h"

namespace lockstep {

/// Collective, before kernels are made: what rank 0 knows of engines and compiled plans counts for all. `earlier` (of rank 0) is
/// what an earlier part of the run went by, which goes first; may be empty.
void agree_on_kernels(const Backend& backend, Communicator& ranks, const std::string& earlier = "");

/// Collective, after kernels are made: `usage` error where the ranks' kernels go by different engines. Rank 0 keeps what was
/// made on its machine. Returns its notes for the log.
std::vector<std::string> settle_kernels(const Backend& backend, Communicator& ranks);

/// `cuda NVIDIA H200 sm_90, ..., cudnn 9.19.0, engines 1a2b3c4d`: all that the bits depend on, the kernels made so far included.
std::string fingerprint_of(const Backend& backend);

/// Where plans are kept on this machine: $LOCKSTEP_CUDA_PLANS (a folder, or a file that ends in ".json"), else lockstep/cuda-plans in
/// $XDG_CACHE_HOME or $HOME/.cache; empty where none is set.
std::string kept_plans(const std::function<const char*(const char*)>& environment);

}  // namespace lockstep
