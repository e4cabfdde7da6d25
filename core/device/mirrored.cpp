#include "core/device/mirrored.h"

namespace lockstep {

MirroredBuffer::MirroredBuffer(Device& device, std::size_t bytes, std::string_view what) : device_(&device), on_device_(device, bytes, what) {
  if (!device.is_host()) on_host_ = HostBuffer(bytes);
}

void MirroredBuffer::download() {
  if (!device_ || device_->is_host() || bytes() == 0) return;
  const StreamView stream = device_->stream(Queue::kMain);
  device_->copy(on_host_.data(), on_device_.data(), bytes(), stream);
  device_->wait(stream);
}

void MirroredBuffer::upload() {
  if (!device_ || device_->is_host() || bytes() == 0) return;
  const StreamView stream = device_->stream(Queue::kMain);
  device_->copy(on_device_.data(), on_host_.data(), bytes(), stream);
  device_->wait(stream);
}

}  // namespace lockstep
