#pragma once

#include <string>

#include "core/backend/cuda/vendor_options.h"

namespace lockstep::test {

/// An H200 as cuDNN's device properties describe it; the figures are from data sheets. `sm` 80 makes an A100 of it.
inline std::string described_gpu(int sm) {
  const bool hopper = sm == 90;
  return std::string("{\"deviceName\":\"") + (hopper ? "NVIDIA H200" : "NVIDIA A100-SXM4-80GB") +
         "\",\"deviceVer\":" + std::to_string(sm * 10) +
         ",\"driverVer\":13000,\"cudaDeviceId\":0,\"multiProcessorCount\":" + (hopper ? "132" : "108") +
         ",\"warpSize\":32,\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
         "\"maxRegistersPerSM\":65536,\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":" +
         (hopper ? "232448" : "166912") +
         ",\"reservedSharedMemoryPerBlock\":1024,\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,"
         "\"isTccDriver\":0,\"supportCoopLaunch\":1,\"smClockRateKHz\":" +
         (hopper ? "1980000" : "1410000") + ",\"memClockRateKHz\":" + (hopper ? "3201000" : "1593000") +
         ",\"l2CacheSize\":" + (hopper ? "62914560" : "41943040") + ",\"totalGlobalMem\":" + (hopper ? "150754820096" : "85899345920") + "}";
}

/// Kernels and plans are made for the described GPU as long as this lives.
class PlanFor {
 public:
  explicit PlanFor(int sm, std::string plans = "") : before_(cuda::vendor_options()) {
    cuda::vendor_options() = {.plans = std::move(plans), .properties = described_gpu(sm), .sm = sm};
  }
  ~PlanFor() { cuda::vendor_options() = before_; }
  PlanFor(const PlanFor&) = delete;
  PlanFor& operator=(const PlanFor&) = delete;

 private:
  cuda::VendorOptions before_;
};

}  // namespace lockstep::test
