#include "distributed/staged_device_communicator.h"

#include <numeric>

#include "core/base/error.h"

namespace lockstep {
namespace {

StagingBuffer staging_for(Device& device, std::span<const std::size_t> bytes) {
  const std::size_t sum = std::accumulate(bytes.begin(), bytes.end(), std::size_t{0});
  return sum > 0 ? StagingBuffer(device, sum) : StagingBuffer();
}

}  // namespace

void StagedDeviceCommunicator::require_main(StreamView stream) {
  require(stream.native == device_.stream(Queue::kMain).native, "staged collectives: expected the main queue");
}

StagedDeviceCommunicator::Site& StagedDeviceCommunicator::site(Call call, const void* send, void* receive,
                                                               std::span<const std::size_t> send_bytes,
                                                               std::span<const std::size_t> receive_bytes) {
  Key key(call, send, receive, {send_bytes.begin(), send_bytes.end()}, {receive_bytes.begin(), receive_bytes.end()});
  const auto found = sites_.find(key);
  if (found != sites_.end()) return found->second;
  Site made{.send = staging_for(device_, send_bytes),
            .receive = staging_for(device_, receive_bytes),
            .send_bytes = std::get<3>(key),
            .receive_bytes = std::get<4>(key)};
  return sites_.emplace(std::move(key), std::move(made)).first->second;
}

void StagedDeviceCommunicator::all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) {
  require_main(stream);
  const auto mine = static_cast<std::size_t>(rank());
  Site& site = this->site(Call::gather, send, receive, bytes.subspan(mine, 1), bytes);
  device_.copy(site.send.data(), send, bytes[mine], stream);
  device_.call_host([this, &site] { ranks_.all_gather(site.send.data(), site.receive.data(), site.receive_bytes); });
  device_.copy(receive, site.receive.data(), site.receive.bytes(), stream);
}

void StagedDeviceCommunicator::all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                                          std::span<const std::size_t> receive_bytes, StreamView stream) {
  require_main(stream);
  Site& site = this->site(Call::exchange, send, receive, send_bytes, receive_bytes);
  device_.copy(site.send.data(), send, site.send.bytes(), stream);
  device_.call_host([this, &site] { ranks_.all_to_all(site.send.data(), site.send_bytes, site.receive.data(), site.receive_bytes); });
  device_.copy(receive, site.receive.data(), site.receive.bytes(), stream);
}

void StagedDeviceCommunicator::all_reduce_sum(float* data, std::int64_t count, StreamView stream) {
  require_main(stream);
  const std::size_t bytes[] = {static_cast<std::size_t>(count) * sizeof(float)};
  Site& site = this->site(Call::sum, data, data, bytes, {});
  device_.copy(site.send.data(), data, bytes[0], stream);
  device_.call_host([this, &site, count] { ranks_.all_reduce_sum(site.send.as<float>(), count); });
  device_.copy(data, site.send.data(), bytes[0], stream);
}

}  // namespace lockstep
