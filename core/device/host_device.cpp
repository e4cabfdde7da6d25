#include <chrono>
#include <cstdlib>
#include <cstring>

#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace lockstep {
namespace {

class HostMarker final : public Marker {
 public:
  void set(StreamView) override { at_ = Clock::now(); }
  double seconds_since(const Marker& earlier) const override {
    return std::chrono::duration<double>(at_ - static_cast<const HostMarker&>(earlier).at_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point at_;
};

class HostDevice final : public Device {
 public:
  bool is_host() const override { return true; }
  void* allocate(std::size_t bytes, std::string_view) override { return HostBuffer(bytes).give_up(); }
  void release(void* memory) noexcept override { std::free(memory); }
  void* allocate_staging(std::size_t bytes) override { return allocate(bytes, "staging"); }
  void release_staging(void* memory) noexcept override { std::free(memory); }
  StreamView stream(int) override { return {}; }
  void copy(void* to, const void* from, std::size_t bytes, StreamView) override {
    if (bytes > 0 && to != from) std::memmove(to, from, bytes);
  }
  void zero(void* at, std::size_t bytes, StreamView) override {
    if (bytes > 0) std::memset(at, 0, bytes);
  }
  void order(StreamView, StreamView) override {}
  void wait(StreamView) override {}
  void call_host(std::function<void()> work) override { work(); }
  std::unique_ptr<Recording> record(const std::function<void()>&) override { return nullptr; }
  std::unique_ptr<Marker> make_marker() override { return std::make_unique<HostMarker>(); }
  void watch(std::function<void()>) override {}
};

}  // namespace

Device& host_device() {
  static HostDevice device;
  return device;
}

}  // namespace lockstep
