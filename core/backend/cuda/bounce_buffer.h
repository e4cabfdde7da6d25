#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <functional>

namespace lockstep::cuda {

/// Moves bytes between the device and host memory that is not pinned, piece by piece through two pinned halves: one is
/// filled or emptied while the other one is on its way. `wait` polls an event.
class BounceBuffer {
 public:
  using Wait = std::function<void(cudaEvent_t)>;
  static constexpr std::size_t kHalfBytes = std::size_t{4} << 20;

  explicit BounceBuffer(Wait wait);
  ~BounceBuffer();
  BounceBuffer(const BounceBuffer&) = delete;
  BounceBuffer& operator=(const BounceBuffer&) = delete;

  /// `from` has been read when it returns; the device may still be writing.
  void to_device(void* to, const void* from, std::size_t bytes, cudaStream_t stream);
  /// `to` has been written when it returns.
  void to_host(void* to, const void* from, std::size_t bytes, cudaStream_t stream);

 private:
  struct Half {
    std::byte* memory = nullptr;
    cudaEvent_t free = nullptr;  ///< recorded behind the half's last copy
  };
  Half& next();
  void release() noexcept;

  Wait wait_;
  std::array<Half, 2> halves_;
  std::size_t turn_ = 0;
};

}  // namespace lockstep::cuda
