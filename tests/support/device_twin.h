#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace lockstep::test {

/// Memory between guard bytes; `intact` tells whether a kernel wrote outside. Fresh memory is all ones: a NaN in
/// every floating type, so that an element that a kernel forgets is seen.
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(std::size_t bytes);
  std::byte* data() const { return buffer_.data() ? buffer_.data() + kGuard : nullptr; }
  std::size_t bytes() const { return bytes_; }
  void poison();
  bool intact() const;
  /// With the guards.
  std::span<std::byte> whole() const { return {buffer_.data(), buffer_.bytes()}; }

 private:
  static constexpr std::size_t kGuard = 256;
  HostBuffer buffer_;
  std::size_t bytes_ = 0;
};

/// Host memory that a call uses, mirrored to a device for that call: add what it may touch, upload, call with addresses
/// that went through `at`, download. On the host device addresses stay what they are.
class DeviceTwin {
 public:
  explicit DeviceTwin(Device& device) : device_(&device) {}

  bool on_host() const { return device_->is_host(); }
  StreamView stream() const { return device_->stream(Queue::kMain); }
  void add(const Guarded& memory) { add_bytes(memory.whole()); }
  template <class T>
  void add(std::span<T> memory) {
    add_bytes(std::as_writable_bytes(memory));
  }
  void upload();
  /// The device's address of something inside what was added; null stays null.
  template <class T>
  T* at(T* host) const {
    return const_cast<T*>(static_cast<const T*>(address_of(host)));
  }
  /// Waits for the call and brings everything back; what was added is forgotten.
  void download();

 private:
  struct Range {
    std::span<std::byte> host;
    std::size_t offset;
  };
  void add_bytes(std::span<std::byte> memory);
  const void* address_of(const void* host) const;

  Device* device_;
  std::vector<Range> ranges_;
  std::size_t bytes_ = 0;
  std::vector<std::byte> image_;
  DeviceBuffer memory_;
};

}  // namespace lockstep::test
