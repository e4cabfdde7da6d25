#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

namespace lockstep::cuda {

/// What kernels of NVIDIA's libraries are made by. Set by the backend before it makes the first kernel; read-only after.
struct VendorOptions {
  std::string plans;   ///< file of engine choices, read where it is there; none if empty
  bool tune = false;   ///< engines that the file does not name are timed, and the choices are written to it
  std::size_t workspace_limit = std::size_t{2} << 30;  ///< bytes of one call: the fast engines of large images want 0.8 MB a row
  std::string properties;  ///< plan for the GPU that this JSON describes (cuDNN's device properties), not the one at hand
  int sm = 0;              ///< its compute capability, 90 for an H200
};

VendorOptions& vendor_options();

/// Versions of the libraries that kernels come from, for the fingerprint, by library: `cudnn` -> `9.19.0`.
std::map<std::string, std::function<std::string()>>& vendor_versions();

struct RegisterVersion {
  RegisterVersion(std::string library, std::function<std::string()> version) {
    vendor_versions().emplace(std::move(library), std::move(version));
  }
};

}  // namespace lockstep::cuda
