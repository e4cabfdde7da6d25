#include "tests/support/device_twin.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"

namespace lockstep::test {

namespace {

constexpr std::byte kGuardByte{0xA5};
constexpr std::size_t kAlignment = 256;

}  // namespace

Guarded::Guarded(std::size_t bytes) : buffer_(bytes + 2 * kGuard), bytes_(bytes) {
  std::fill_n(buffer_.data(), bytes + 2 * kGuard, kGuardByte);
  poison();
}

void Guarded::poison() { std::fill_n(buffer_.data() + kGuard, bytes_, std::byte{0xFF}); }

bool Guarded::intact() const {
  const auto whole = [](const std::byte* from) { return std::all_of(from, from + kGuard, [](std::byte b) { return b == kGuardByte; }); };
  return !buffer_.data() || (whole(buffer_.data()) && whole(buffer_.data() + kGuard + bytes_));
}

void DeviceTwin::add_bytes(std::span<std::byte> memory) {
  if (on_host() || memory.empty()) return;
  ranges_.push_back({memory, bytes_});
  bytes_ += (memory.size() + kAlignment - 1) / kAlignment * kAlignment;
}

void DeviceTwin::upload() {
  if (on_host()) return;
  image_.assign(bytes_, std::byte{0xFF});
  for (const Range& range : ranges_) std::memcpy(image_.data() + range.offset, range.host.data(), range.host.size());
  if (memory_.bytes() < bytes_) memory_ = DeviceBuffer(*device_, 2 * bytes_, "a test's operands");
  device_->copy(memory_.data(), image_.data(), bytes_, stream());
}

const void* DeviceTwin::address_of(const void* host) const {
  if (on_host() || !host) return host;
  const auto* at = static_cast<const std::byte*>(host);
  for (const Range& range : ranges_)
    if (at >= range.host.data() && at < range.host.data() + range.host.size()) return memory_.data() + range.offset + (at - range.host.data());
  fail(ErrorKind::internal, "device twin: an address that was not added");
}

void DeviceTwin::download() {
  if (on_host()) return;
  device_->copy(image_.data(), memory_.data(), bytes_, stream());
  device_->wait(stream());
  for (const Range& range : ranges_) std::memcpy(range.host.data(), image_.data() + range.offset, range.host.size());
  ranges_.clear();
  bytes_ = 0;
}

}  // namespace lockstep::test
