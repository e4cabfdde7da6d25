#include "distributed/nccl/nccl_communicator.h"

#include <algorithm>
#include <future>
#include <memory>
#include <thread>

#include "core/base/error.h"
#include "distributed/agree.h"
#include "distributed/nccl/start_up_hints.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

cudaStream_t native(StreamView stream) { return static_cast<cudaStream_t>(stream.native); }

}  // namespace

NcclCommunicator::NcclCommunicator(const NcclLibrary& library, Device& device, Communicator& ranks, Limits limits)
    : nccl_(library), device_(device), limits_(limits), rank_(ranks.rank()), size_(ranks.size()) {
  ncclUniqueId id{};
  agree_on(ranks, [&] {
    if (rank_ != 0) return;
    if (const ncclResult_t result = nccl_.get_unique_id(&id); result != ncclSuccess) fail_with(result, "ncclGetUniqueId");
  });
  ranks.broadcast(&id, sizeof(id), 0);
  // An MPI may finish a broadcast in its next call alone, and the start makes none while it waits for the others.
  ranks.barrier();
  try {
    agree_on(ranks, [&] { start(id); });
  } catch (const Error& error) {
    give_up();
    throw Error(error.kind(), error.what() + ("; " + broadcast_text(ranks, start_up_hints(ranks.local_size()))));
  }
  device_.watch([this] { check(); });
}

NcclCommunicator::~NcclCommunicator() {
  device_.watch({});
  give_up();
}

void NcclCommunicator::start(const ncclUniqueId& id) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.commName = "lockstep";
  settle(nccl_.init_rank(&comm_, size_, id, rank_, &config), "ncclCommInitRankConfig");
  // Only now: NCCL has read its configuration files into the environment.
  const std::string settings = nccl_settings();
  description_ = fmt::format("NCCL {}{}", nccl_.version, settings.empty() ? "" : " (" + settings + ")");
}

void NcclCommunicator::fail_with(ncclResult_t result, const char* what) const {
  std::string text = nccl_.error_string(result);
  const char* more = nccl_.last_error(comm_);
  if (more && *more) text += fmt::format(": {}", more);
  std::replace(text.begin(), text.end(), '\n', ' ');
  fail(ErrorKind::io, "nccl: rank {}: {}: {}", rank_, what, text.substr(0, text.find_last_not_of(' ') + 1));
}

void NcclCommunicator::settle(ncclResult_t result, const char* what) {
  if (result != ncclSuccess && result != ncclInProgress) fail_with(result, what);
  const auto begin = Clock::now();
  for (int turn = 0;; ++turn) {
    ncclResult_t state = ncclSuccess;
    if (const ncclResult_t asked = nccl_.get_async_error(comm_, &state); asked != ncclSuccess) fail_with(asked, "ncclCommGetAsyncError");
    if (state == ncclSuccess) return;
    if (state != ncclInProgress) fail_with(state, what);
    if (Clock::now() - begin > limits_.start)
      fail(ErrorKind::io, "nccl: rank {}: {}: not done after {:g} s", rank_, what, limits_.start.count());
    // The first turns are for calls that take microseconds.
    if (turn < 1000)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void NcclCommunicator::group(const char* what, const std::function<void(const std::function<void(ncclResult_t)>&)>& calls) {
  require(comm_ != nullptr, "nccl: {} after the end of the communicator", what);
  ncclResult_t first = nccl_.group_start();
  if (first != ncclSuccess) fail_with(first, "ncclGroupStart");
  calls([&](ncclResult_t result) {
    if (first == ncclSuccess && result != ncclInProgress) first = result;
  });
  // A group that was begun is ended, whatever happened in it.
  const ncclResult_t last = nccl_.group_end();
  settle(first != ncclSuccess ? first : last, what);
}

void NcclCommunicator::all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) {
  require(bytes.size() == static_cast<std::size_t>(size_), "all_gather: expected {} sizes, got {}", size_, bytes.size());
  const std::size_t share = bytes.front(), last = bytes.back();
  auto* to = static_cast<std::byte*>(receive);
  const bool equal = last >= share && std::all_of(bytes.begin(), bytes.end() - 1, [&](std::size_t part) { return part == share; });
  if (equal) {
    // Equal parts, and what the last rank has on top of them.
    const std::size_t rest = last - share;
    const auto* from = static_cast<const std::byte*>(send) + (rank_ + 1 == size_ ? share : 0);
    std::byte* rest_to = to + share * bytes.size();
    return group("all_gather", [&](const auto& note) {
      if (share > 0) note(nccl_.all_gather(send, receive, share, ncclInt8, comm_, native(stream)));
      if (rest > 0) note(nccl_.broadcast(rank_ + 1 == size_ ? from : rest_to, rest_to, rest, ncclInt8, size_ - 1, comm_, native(stream)));
    });
  }
  std::vector<std::size_t> places;
  std::size_t total = 0;
  for (const std::size_t part : bytes) {
    places.push_back(total);
    total += part;
  }
  const auto mine = static_cast<std::size_t>(rank_);
  if (send != to + places[mine] && bytes[mine] > 0) device_.copy(to + places[mine], send, bytes[mine], stream);
  group("all_gather", [&](const auto& note) {
    for (int step = 1; step < size_; ++step) {
      const int target = (rank_ + step) % size_, source = (rank_ + size_ - step) % size_;
      const auto s = static_cast<std::size_t>(source);
      if (bytes[mine] > 0) note(nccl_.send(send, bytes[mine], ncclInt8, target, comm_, native(stream)));
      if (bytes[s] > 0) note(nccl_.receive(to + places[s], bytes[s], ncclInt8, source, comm_, native(stream)));
    }
  });
}

void NcclCommunicator::all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                                  std::span<const std::size_t> receive_bytes, StreamView stream) {
  const auto ranks = static_cast<std::size_t>(size_), mine = static_cast<std::size_t>(rank_);
  require(send_bytes.size() == ranks && receive_bytes.size() == ranks, "all_to_all: expected {} sizes each way", ranks);
  require(send_bytes[mine] == receive_bytes[mine], "all_to_all: rank {} sends itself {} bytes and expects {}", rank_, send_bytes[mine],
          receive_bytes[mine]);
  std::vector<const std::byte*> from{static_cast<const std::byte*>(send)};
  std::vector<std::byte*> to{static_cast<std::byte*>(receive)};
  for (std::size_t r = 0; r + 1 < ranks; ++r) {
    from.push_back(from[r] + send_bytes[r]);
    to.push_back(to[r] + receive_bytes[r]);
  }
  if (send_bytes[mine] > 0) device_.copy(to[mine], from[mine], send_bytes[mine], stream);
  group("all_to_all", [&](const auto& note) {
    for (int step = 1; step < size_; ++step) {
      const int target = (rank_ + step) % size_, source = (rank_ + size_ - step) % size_;
      const auto t = static_cast<std::size_t>(target), s = static_cast<std::size_t>(source);
      if (send_bytes[t] > 0) note(nccl_.send(from[t], send_bytes[t], ncclInt8, target, comm_, native(stream)));
      if (receive_bytes[s] > 0) note(nccl_.receive(to[s], receive_bytes[s], ncclInt8, source, comm_, native(stream)));
    }
  });
}

void NcclCommunicator::all_reduce_sum(float* data, std::int64_t count, StreamView stream) {
  group("all_reduce_sum", [&](const auto& note) {
    note(nccl_.all_reduce(data, data, static_cast<std::size_t>(count), ncclFloat32, ncclSum, comm_, native(stream)));
  });
}

void NcclCommunicator::check() {
  if (!comm_) return;
  ncclResult_t state = ncclSuccess;
  if (const ncclResult_t asked = nccl_.get_async_error(comm_, &state); asked != ncclSuccess) fail_with(asked, "ncclCommGetAsyncError");
  if (state != ncclSuccess && state != ncclInProgress) fail_with(state, "a collective");
}

void NcclCommunicator::give_up() {
  if (!comm_) return;
  // The thread may outlive this object: it has copies alone.
  std::promise<void> done;
  const std::future<void> ended = done.get_future();
  std::thread([done = std::move(done), call = nccl_.abort, comm = comm_]() mutable {
    call(comm);
    done.set_value();
  }).detach();
  ended.wait_for(limits_.abort);
  comm_ = nullptr;
}

void NcclCommunicator::close() {
  if (!comm_) return;
  settle(nccl_.finalize(comm_), "ncclCommFinalize");
  if (const ncclResult_t result = nccl_.destroy(comm_); result != ncclSuccess && result != ncclInProgress)
    fail_with(result, "ncclCommDestroy");
  comm_ = nullptr;
}

}  // namespace lockstep
