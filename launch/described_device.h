#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"

namespace lockstep {

/// What `plan --device` wants of a GPU that is not here.
struct DescribedDevice {
  std::string device;   ///< a name of share/lockstep/devices, or a file that ends in ".json"
  std::string plans;    ///< a file of plans to begin with; may be absent
  bool compile = true;  ///< false: kernels name their engines only
};

/// The names in share/lockstep/devices, sorted.
std::vector<std::string> described_device_names();

/// Opens the CUDA plug-in where no driver need be. Without one cuDNN lists no engine that is compiled at run time, so a stand-in
/// driver that refuses every call but loading is opened before it; it lies where no loader looks, and nothing else opens it.
/// `usage` error for an unknown device and where the plug-in is not installed.
std::unique_ptr<Backend> open_described_device(const DescribedDevice& wanted);

}  // namespace lockstep
