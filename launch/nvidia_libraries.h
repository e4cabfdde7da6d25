#pragma once

#include <string>
#include <vector>

#include "distributed/world.h"

namespace lockstep {

/// The CUDA version that the installed NVIDIA driver serves, 13000 for 13.0; 0 where there is no driver.
int nvidia_driver_version();

/// Where a library of NVIDIA's may lie, in this order: the folders of the variable LOCKSTEP_CUDA_LIBRARIES (separated by
/// colons) alone where it is set; `own_folder`; where the loader looks; the Python packages nvidia-* of the environment, the
/// user and the system; CUDA_HOME, CUDA_PATH and /usr/local/cuda. Files that are not there are left out.
std::vector<std::string> nvidia_library_candidates(const std::string& soname, const std::string& own_folder, const Environment& environment);

/// Where the main library lies.
std::string folder_of_this_library();

/// Opens what the CUDA plug-in needs (cuDNN, cuBLASLt, NVRTC), so that the plug-in finds it wherever it lies. What is
/// nowhere is left out: the plug-in's own loading says which. Never closed.
void open_nvidia_libraries(const Environment& environment);

}  // namespace lockstep
