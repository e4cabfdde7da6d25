#pragma once

#include <string>

#include "core/backend/cuda/vendor/described_gpu.h"
#include "core/backend/cuda/vendor_options.h"

namespace lockstep::test {

/// As `plan --device` describes them: 90 is an H200, 80 an A100.
inline cuda::DescribedGpu described_gpu(int sm) {
  return cuda::read_described_gpu(std::string(LOCKSTEP_SOURCE_DIR) + "/core/backend/cuda/devices/" + (sm == 90 ? "h200" : "a100") + ".json");
}

/// Kernels and plans are made for the described GPU as long as this lives.
class PlanFor {
 public:
  explicit PlanFor(int sm, std::string plans = "", std::string carried = "") : before_(cuda::vendor_options()) {
    cuda::DescribedGpu gpu = described_gpu(sm);
    cuda::vendor_options() = {
        .plans = std::move(plans), .carried = std::move(carried), .properties = std::move(gpu.properties), .gpu = std::move(gpu.name), .sm = gpu.sm};
  }
  ~PlanFor() { cuda::vendor_options() = before_; }
  PlanFor(const PlanFor&) = delete;
  PlanFor& operator=(const PlanFor&) = delete;

 private:
  cuda::VendorOptions before_;
};

}  // namespace lockstep::test
