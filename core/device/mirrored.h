#pragma once

#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace lockstep {

/// Memory that kernels use on the device and that those who save, load and compare see on the host. On the host device
/// both are the same bytes, and moving between them is nothing. The device must outlive it.
class MirroredBuffer {
 public:
  MirroredBuffer() = default;
  MirroredBuffer(Device& device, std::size_t bytes, std::string_view what);

  std::byte* device() const { return on_device_.data(); }
  std::byte* host() const { return device_ && !device_->is_host() ? on_host_.data() : on_device_.data(); }
  std::size_t bytes() const { return on_device_.bytes(); }
  /// Device to host; waits for the main queue.
  void download();
  /// Host to device; done when it returns.
  void upload();

 private:
  Device* device_ = nullptr;
  DeviceBuffer on_device_;
  HostBuffer on_host_;
};

/// A dense tensor in mirrored memory, zeroed.
class MirroredTensor {
 public:
  MirroredTensor() = default;
  MirroredTensor(Device& device, TensorSpec spec, std::string_view what) : spec_(spec), memory_(device, spec.bytes(), what) {}

  const TensorSpec& spec() const { return spec_; }
  void* device() const { return memory_.device(); }
  /// On the host.
  TensorView view() const { return {memory_.host(), spec_}; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(memory_.host());
  }
  void download() { memory_.download(); }
  void upload() { memory_.upload(); }

 private:
  TensorSpec spec_;
  MirroredBuffer memory_;
};

}  // namespace lockstep
