#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/backend/cuda/cuda_device.h"

namespace lockstep::cuda {

/// One GPU: calls are made one after another on its main queue. Registered as "cuda", with the options
///   device   its number among those that this process sees; by default the one that the launcher's numbers give
///   plans, carried, tune    see vendor_options.h
class CudaBackend : public Backend {
 public:
  explicit CudaBackend(int index);

  std::string name() const override { return "cuda"; }
  /// `cuda NVIDIA H200 sm_90, driver 13.0, cublaslt 13.1.1, cudnn 9.19.0`: all that the bits depend on.
  std::string describe() const override { return description_; }
  std::optional<DeviceIdentity> identity() const override;
  /// bf16 first.
  std::vector<Precision> precisions() const override;
  Device& device() override { return device_; }
  WorkOrder order() const override { return WorkOrder::by_instruction; }
  std::unique_ptr<Kernel> make(const OpSpec& spec) const override;
  KernelChoices* choices() const override;
  int workers() const override { return 1; }
  void parallel(int tasks, const std::function<void(int task, int worker)>& body) override;

 private:
  CudaDevice device_;
  std::string description_;
};

}  // namespace lockstep::cuda
