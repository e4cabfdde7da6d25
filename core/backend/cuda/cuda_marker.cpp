#include <nvtx3/nvToolsExt.h>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/cuda_device.h"

namespace lockstep::cuda {

/// An event. In a recording it is a node of its own, which every replay sets (cudaEventRecordExternal).
class CudaMarker final : public Marker {
 public:
  explicit CudaMarker(CudaDevice& device) : device_(device) {
    device_.use();
    check(cudaEventCreate(&event_), "cudaEventCreate");
  }
  ~CudaMarker() override {
    if (!device_.abandoned_) cudaEventDestroy(event_);
  }
  CudaMarker(const CudaMarker&) = delete;
  CudaMarker& operator=(const CudaMarker&) = delete;

  void set(StreamView stream) override {
    const unsigned flags = device_.recording_ ? cudaEventRecordExternal : cudaEventRecordDefault;
    check(cudaEventRecordWithFlags(event_, native(stream), flags), "cudaEventRecord");
  }
  double seconds_since(const Marker& earlier) const override {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, static_cast<const CudaMarker&>(earlier).event_, event_), "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  CudaDevice& device_;
  cudaEvent_t event_ = nullptr;
};

std::unique_ptr<Marker> CudaDevice::make_marker() { return std::make_unique<CudaMarker>(*this); }
void CudaDevice::open_range(const std::string& name) { nvtxRangePushA(name.c_str()); }
void CudaDevice::close_range() { nvtxRangePop(); }

}  // namespace lockstep::cuda
