#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/tensor/stream.h"

namespace lockstep {

/// The queues of a device. Work of one queue runs in order; `Device::order` orders queues among each other.
struct Queue {
  static constexpr int kMain = 0;           ///< forward, backward, update
  static constexpr int kCopy = 1;           ///< input on its way to the device
  static constexpr int kCommunication = 2;  ///< gradients on their way to other ranks
  static constexpr int kBranch = 3;         ///< the first of kBranches queues for work that may run side by side
  static constexpr int kBranches = 4;
  static constexpr int kCount = kBranch + kBranches;
};

/// Work that was recorded once and is repeated at small cost. Its owner destroys it before the memory it uses.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Queues all of it on the main queue.
  virtual void replay() = 0;
};

/// A place in a queue, whose time is known once the device has come there.
class Marker {
 public:
  virtual ~Marker() = default;
  /// In a recording too: then every replay sets it anew.
  virtual void set(StreamView stream) = 0;
  /// Both must have been set, and waited for.
  virtual double seconds_since(const Marker& earlier) const = 0;
};

/// Memory and ordered work of one device. Where `is_host()` is false, its addresses mean nothing to host code, and
/// calls that take a stream return before the work is done. One thread at a time. An error of the device, also one of
/// work queued before, is an Error on the call that learns of it.
class Device {
 public:
  virtual ~Device() = default;

  virtual bool is_host() const = 0;
  /// Zeroed memory, aligned to 256 bytes (64 on the host). `usage` error that says what it is for, how many bytes were wanted and how
  /// many are free. Not while recording.
  virtual void* allocate(std::size_t bytes, std::string_view what) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Bytes of the device's memory that are taken, by whomever, as its maker counts them; 0 where nobody does.
  virtual std::size_t memory_in_use() { return 0; }
  /// Host memory that `copy` moves fastest.
  virtual void* allocate_staging(std::size_t bytes) = 0;
  virtual void release_staging(void* memory) noexcept = 0;

  virtual StreamView stream(int queue) = 0;
  /// Between any two places, host or device. Host memory that is not staging is read before the call returns.
  virtual void copy(void* to, const void* from, std::size_t bytes, StreamView stream) = 0;
  virtual void zero(void* at, std::size_t bytes, StreamView stream) = 0;
  /// What is queued on `after` from now on runs after all that is on `before` now.
  virtual void order(StreamView before, StreamView after) = 0;
  /// Returns when all queued work of the stream is done. Calls the watch meanwhile. `io` error where it takes longer than a
  /// device's own limit: then a peer that collectives wait for may be lost.
  virtual void wait(StreamView stream) = 0;
  /// Runs `work` on this thread between what is queued on the main queue before and after: at once after a wait, or, in
  /// a recording, at its place of every replay. What it refers to must live as long as the recording. Work on other
  /// queues must have been ordered before the main queue. Never inside itself.
  virtual void call_host(std::function<void()> work) = 0;

  /// Runs `work`, which queues on this device, without executing it, and returns what it queued. Null where the device
  /// cannot record: `work` has then not been called. All queues must have been joined to the main one at its end.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& work) = 0;

  /// The device outlives it.
  virtual std::unique_ptr<Marker> make_marker() = 0;
  /// What is queued between the two bears a name in the profiler of the device's maker; ranges lie within each other.
  virtual void open_range(const std::string& name) { static_cast<void>(name); }
  virtual void close_range() {}

  /// Called again and again while this thread waits for the device; it throws to end the wait (a lost peer).
  virtual void watch(std::function<void()> check) = 0;
};

/// The host as a device: allocation, memcpy, and work that runs at once. It has no state of its own.
Device& host_device();

struct ReleaseMemory {
  Device* device = nullptr;
  void operator()(std::byte* memory) const { device->release(memory); }
};
struct ReleaseStaging {
  Device* device = nullptr;
  void operator()(std::byte* memory) const { device->release_staging(memory); }
};

/// An owner of device memory. Move-only; the device must outlive it.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(Device& device, std::size_t bytes, std::string_view what);

  std::byte* data() const { return memory_.get(); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(memory_.get());
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<std::byte, ReleaseMemory> memory_;
  std::size_t bytes_ = 0;
};

/// An owner of staging memory: host memory that the device copies fastest, zeroed.
class StagingBuffer {
 public:
  StagingBuffer() = default;
  StagingBuffer(Device& device, std::size_t bytes);

  std::byte* data() const { return memory_.get(); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(memory_.get());
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<std::byte, ReleaseStaging> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace lockstep
