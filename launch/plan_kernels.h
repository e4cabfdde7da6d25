#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/model/plan.h"
#include "core/train/program.h"

namespace lockstep {

/// The kernels of a plan without memory to run in: what they are is known, and what they compile is made, where there may be no device.
struct PlanKernels {
  const Plan& plan;
  const Backend& backend;
  RunMode mode = RunMode::exact;
  int ranks = 1;

  /// A kernel that was made: `done` of `total`; what serves it and how long that took.
  struct Made {
    int done = 0, total = 0;
    std::string what, implementation;
    double seconds = 0;
  };

  /// Makes the kernels of the training and the evaluation program of all ranks, each that differs once, on `threads` threads. `told` is
  /// called by one thread at a time. The first error is thrown.
  void make_all(int threads, const std::function<void(const Made&)>& told) const;
  /// Who serves each instruction of a program on rank 0.
  std::vector<std::string> implementations(const PlanProgram& program) const;
};

}  // namespace lockstep
