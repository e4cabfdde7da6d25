#pragma once

#include <string>

namespace lockstep::cuda {

/// A GPU that is not here, as cuDNN's heuristics and compilers need to know it.
struct DescribedGpu {
  std::string name;        ///< "NVIDIA H200", as the driver gives it
  std::string properties;  ///< cuDNN's device properties as JSON
  int sm = 0;              ///< 90
};

/// From a file {"source": "where its numbers come from", "sm": 90, "properties": {...}}. `usage` error where it is not there or not that.
DescribedGpu read_described_gpu(const std::string& path);

}  // namespace lockstep::cuda
