#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "core/backend/kernel_choices.h"

namespace lockstep::cuda {

/// What kernels of NVIDIA's libraries are made by. Set by the backend before it makes the first kernel; read-only after.
struct VendorOptions {
  std::string plans;    ///< where plans are kept on this machine: a folder, or a file that ends in ".json"; nowhere if empty
  std::string carried;  ///< folder of plans that came with the program; may be empty
  bool tune = false;    ///< the first few engines of each problem are timed, and the fastest is taken
  bool compile = true;  ///< false: kernels name their engines and cannot run
  std::size_t workspace_limit = std::size_t{2} << 30;  ///< bytes of one call: the fast engines of large images want 0.8 MB a row
  std::string properties;  ///< plan for the GPU that this JSON describes (cuDNN's device properties), not the one at hand
  std::string gpu;         ///< its name
  int sm = 0;              ///< its compute capability, 90 for an H200
};

VendorOptions& vendor_options();

/// The choices of the libraries that kernels come from; empty where the build has none of them.
std::function<KernelChoices*()>& vendor_choices();

/// Versions of the libraries that kernels come from, for the fingerprint, by library: `cudnn` -> `9.19.0`.
std::map<std::string, std::function<std::string()>>& vendor_versions();

struct RegisterVersion {
  RegisterVersion(std::string library, std::function<std::string()> version) {
    vendor_versions().emplace(std::move(library), std::move(version));
  }
};

}  // namespace lockstep::cuda
