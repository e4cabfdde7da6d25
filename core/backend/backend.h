#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/kernel.h"
#include "core/backend/kernel_choices.h"
#include "core/base/registry.h"
#include "core/device/device.h"
#include "core/device/identity.h"
#include "core/model/precision.h"

namespace lockstep {

/// How a program's work is ordered on a device.
enum class WorkOrder : std::uint8_t {
  by_lane,         ///< worker threads take lane after lane through all instructions of a segment: caches
  by_instruction,  ///< instruction after instruction, each over as many lanes as one call takes: one wide device
};

/// A device that runs kernels: the CPU's threads, or one GPU. A rank has one.
class Backend {
 public:
  static constexpr std::string_view kPlugInKind = "backend";

  virtual ~Backend() = default;

  virtual std::string name() const = 0;
  /// One line for logs and the fingerprint: device, instruction set, library versions. Two ranks whose lines differ
  /// cannot give the same bits.
  virtual std::string describe() const = 0;
  /// The hardware that no two ranks should share; none where sharing is as usual.
  virtual std::optional<DeviceIdentity> identity() const { return {}; }
  /// What it computes in; `precision = "auto"` takes the first.
  virtual std::vector<Precision> precisions() const = 0;

  /// The memory that its kernels work in. Lives as long as the backend.
  virtual Device& device() = 0;
  virtual WorkOrder order() const = 0;

  /// `run_file` error `op: no cpu kernel in this build` when there is none.
  virtual std::unique_ptr<Kernel> make(const OpSpec& spec) const = 0;

  /// What its libraries leave to choose; null where that is nothing. Lives as long as the process.
  virtual KernelChoices* choices() const { return nullptr; }

  /// Threads that `parallel` uses at most.
  virtual int workers() const = 0;
  /// Runs body(task, worker) for every task in [0, tasks), tasks spread over the workers in contiguous runs; returns
  /// when all are done. The first exception of a task is rethrown. Not reentrant.
  virtual void parallel(int tasks, const std::function<void(int task, int worker)>& body) = 0;
};

}  // namespace lockstep
