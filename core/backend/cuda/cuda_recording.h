#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <vector>

#include "core/backend/cuda/cuda_device.h"
#include "core/device/device.h"

namespace lockstep::cuda {

/// What a recording holds: graphs, and between them the host's work.
class CudaRecording final : public Recording {
 public:
  explicit CudaRecording(CudaDevice& device) : device_(device) {}
  ~CudaRecording() override;
  CudaRecording(const CudaRecording&) = delete;
  CudaRecording& operator=(const CudaRecording&) = delete;

  void replay() override;
  /// Takes over the graph; null is nothing.
  void add(cudaGraphExec_t graph);
  void add(std::function<void()> work);

 private:
  struct Piece {
    cudaGraphExec_t graph = nullptr;
    std::function<void()> work;
  };
  CudaDevice& device_;
  std::vector<Piece> pieces_;
};

}  // namespace lockstep::cuda
