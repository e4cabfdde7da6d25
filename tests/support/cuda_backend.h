#pragma once

#include <memory>
#include <string>

#include "core/backend/backend.h"

namespace lockstep::test {

/// The CUDA backend under test: over the shim of tests/support/simt, or, in gpu_tests, the plug-in on a real GPU. One a
/// process, made by the first call.
Backend& cuda_backend();
/// Another one, on device 0: a rank's own.
std::unique_ptr<Backend> make_cuda_backend();
/// Why there is none here, such as "no GPU"; empty where there is one.
std::string no_cuda_backend();
/// The CPU's, with one thread.
Backend& cpu_backend();

}  // namespace lockstep::test
