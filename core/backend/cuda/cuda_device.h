#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/backend/cuda/bounce_buffer.h"
#include "core/device/device.h"

namespace lockstep::cuda {

class CudaRecording;

/// One GPU by the CUDA runtime. Streams never synchronise with the legacy one. All waiting is done by polling, so that the
/// watch is heard. A GPU that is lost, or a kernel that failed, is an `io` error with the runtime's own words. When a watch has
/// ended a wait, memory is not given back any more: that would wait for work that may never end.
class CudaDevice final : public Device {
 public:
  /// `index` among the devices that this process sees.
  explicit CudaDevice(int index);
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  bool is_host() const override { return false; }
  void* allocate(std::size_t bytes, std::string_view what) override;
  void release(void* memory) noexcept override;
  std::size_t memory_in_use() override;
  void* allocate_staging(std::size_t bytes) override;
  void release_staging(void* memory) noexcept override;
  StreamView stream(int queue) override;
  void copy(void* to, const void* from, std::size_t bytes, StreamView stream) override;
  void zero(void* at, std::size_t bytes, StreamView stream) override;
  void order(StreamView before, StreamView after) override;
  void wait(StreamView stream) override;
  void call_host(std::function<void()> work) override;
  /// A list of graphs, cut where work calls the host.
  std::unique_ptr<Recording> record(const std::function<void()>& work) override;
  std::unique_ptr<Marker> make_marker() override;
  /// NVTX ranges.
  void open_range(const std::string& name) override;
  void close_range() override;
  void watch(std::function<void()> check) override { watch_ = std::move(check); }

  /// A wait that takes longer ends in an `io` error: a peer on the same host may be lost without anybody saying so.
  void longest_wait(std::chrono::milliseconds limit) { longest_wait_ = limit; }

  int index() const { return index_; }
  const std::string& name() const { return name_; }
  /// Polls until the event is done.
  void wait_for(cudaEvent_t event);

 private:
  friend class CudaRecording;
  friend class CudaMarker;
  void use() const;
  void ask_watch();
  cudaError_t link(StreamView before, StreamView after);
  void begin_piece();
  /// The graph of what was queued since begin_piece; null if nothing was.
  cudaGraphExec_t end_piece();
  void abandon_piece() noexcept;
  void copy_through_host(void* to, const void* from, std::size_t bytes, StreamView stream);

  int index_;
  std::string name_;
  std::array<cudaStream_t, Queue::kCount> streams_{};
  cudaEvent_t order_event_ = nullptr, wait_event_ = nullptr;
  std::unique_ptr<BounceBuffer> bounce_;
  std::function<void()> watch_;
  CudaRecording* recording_ = nullptr;
  bool in_host_call_ = false;
  std::chrono::milliseconds longest_wait_ = std::chrono::minutes(10);
  bool abandoned_ = false;  ///< a watch has ended a wait
};

}  // namespace lockstep::cuda
