#include "distributed/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "distributed/mpi_plug_in.h"

namespace lockstep {

MpiCommunicator::MpiCommunicator(const LockstepMpiCalls& calls, LockstepMpiHandle comm, std::size_t largest_message, bool owns_world)
    : calls_(calls), comm_(comm), largest_(std::clamp<std::size_t>(largest_message, 64, std::size_t{1} << 30)), owns_world_(owns_world) {
  check(calls_.return_errors(comm_), "MPI_Comm_set_errhandler");
  check(calls_.rank_in(comm_, &rank_), "MPI_Comm_rank");
  check(calls_.size_of(comm_, &size_), "MPI_Comm_size");
  LockstepMpiHandle local = 0;
  check(calls_.split_by_host(comm_, rank_, &local), "MPI_Comm_split_type");
  check(calls_.rank_in(local, &local_rank_), "MPI_Comm_rank");
  check(calls_.size_of(local, &local_size_), "MPI_Comm_size");
  check(calls_.free(local), "MPI_Comm_free");
  library_ = mpi_library_name(calls_);
}

void MpiCommunicator::check(int code, const char* call) const {
  if (code == 0) return;
  char text[1024] = {};
  calls_.error_text(code, text, sizeof(text));
  fail(ErrorKind::io, "mpi: rank {}: {}: {}", rank_, call, text);
}

void MpiCommunicator::barrier() { check(calls_.barrier(comm_), "MPI_Barrier"); }

void MpiCommunicator::broadcast(void* data, std::size_t bytes, int root) {
  for (std::size_t at = 0; at < bytes; at += largest_)
    check(calls_.broadcast(comm_, static_cast<std::byte*>(data) + at, static_cast<int>(std::min(largest_, bytes - at)), root), "MPI_Bcast");
}

template <class Item>
void MpiCommunicator::sum(Item* data, std::int64_t count, int (*all_reduce)(LockstepMpiHandle, Item*, int)) {
  const auto items = static_cast<std::int64_t>(largest_ / sizeof(Item));
  for (std::int64_t at = 0; at < count; at += items)
    check(all_reduce(comm_, data + at, static_cast<int>(std::min(items, count - at))), "MPI_Allreduce");
}

void MpiCommunicator::all_reduce_sum(float* data, std::int64_t count) { sum(data, count, calls_.sum_f32); }
void MpiCommunicator::all_reduce_sum(double* data, std::int64_t count) { sum(data, count, calls_.sum_f64); }

void MpiCommunicator::all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) {
  require(bytes.size() == static_cast<std::size_t>(size_), "all_gather: expected {} sizes, got {}", size_, bytes.size());
  std::size_t total = 0;
  std::vector<int> counts, places;
  for (std::size_t part : bytes) total += part;
  auto* to = static_cast<std::byte*>(receive);
  if (total > largest_) return gather_in_pieces(static_cast<const std::byte*>(send), to, bytes);
  for (std::size_t part : bytes) {
    places.push_back(counts.empty() ? 0 : places.back() + counts.back());
    counts.push_back(static_cast<int>(part));
  }
  const auto mine = static_cast<std::size_t>(rank_);
  // A null `send` is MPI's "in place", so a rank that has nothing to give still points somewhere.
  static constexpr std::byte kNothing{};
  const void* from = send == to + places[mine] ? nullptr : send ? send : &kNothing;
  check(calls_.all_gather(comm_, from, counts[mine], receive, counts.data(), places.data()), "MPI_Allgatherv");
}

/// MPI's displacements are ints too, so a large gather is a broadcast from each rank.
void MpiCommunicator::gather_in_pieces(const std::byte* send, std::byte* receive, std::span<const std::size_t> bytes) {
  for (int r = 0; r < size_; ++r) {
    const std::size_t part = bytes[static_cast<std::size_t>(r)];
    if (r == rank_ && send != receive && part > 0) std::memcpy(receive, send, part);
    broadcast(receive, part, r);
    receive += part;
  }
}

void MpiCommunicator::all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                                 std::span<const std::size_t> receive_bytes) {
  const auto ranks = static_cast<std::size_t>(size_), mine = static_cast<std::size_t>(rank_);
  require(send_bytes.size() == ranks && receive_bytes.size() == ranks, "all_to_all: expected {} sizes each way", ranks);
  require(send_bytes[mine] == receive_bytes[mine], "all_to_all: rank {} sends itself {} bytes and expects {}", rank_, send_bytes[mine],
          receive_bytes[mine]);
  constexpr int kTag = 7;
  std::vector<LockstepMpiHandle> requests;
  const auto pieces = [&](std::size_t bytes, const auto& start) {
    for (std::size_t at = 0; at < bytes; at += largest_) {
      requests.push_back(0);
      start(at, static_cast<int>(std::min(largest_, bytes - at)), &requests.back());
    }
  };
  std::vector<std::size_t> send_at(ranks, 0), receive_at(ranks, 0);
  for (std::size_t r = 1; r < ranks; ++r) {
    send_at[r] = send_at[r - 1] + send_bytes[r - 1];
    receive_at[r] = receive_at[r - 1] + receive_bytes[r - 1];
  }
  const auto* from = static_cast<const std::byte*>(send);
  auto* to = static_cast<std::byte*>(receive);
  // Each rank starts with its right neighbour, so that not all of them write to rank 0 first.
  for (std::size_t step = 1; step < ranks; ++step) {
    const std::size_t source = (mine + ranks - step) % ranks;
    pieces(receive_bytes[source], [&](std::size_t at, int count, LockstepMpiHandle* request) {
      check(calls_.receive(comm_, to + receive_at[source] + at, count, static_cast<int>(source), kTag, request), "MPI_Irecv");
    });
  }
  for (std::size_t step = 1; step < ranks; ++step) {
    const std::size_t target = (mine + step) % ranks;
    pieces(send_bytes[target], [&](std::size_t at, int count, LockstepMpiHandle* request) {
      check(calls_.send(comm_, from + send_at[target] + at, count, static_cast<int>(target), kTag, request), "MPI_Isend");
    });
  }
  if (send_bytes[mine] > 0) std::memcpy(to + receive_at[mine], from + send_at[mine], send_bytes[mine]);
  check(calls_.wait_all(static_cast<int>(requests.size()), requests.data()), "MPI_Waitall");
}

std::unique_ptr<Communicator> MpiCommunicator::split(int colour) {
  LockstepMpiHandle group = 0;
  check(calls_.split(comm_, colour, rank_, &group), "MPI_Comm_split");
  return std::make_unique<MpiCommunicator>(calls_, group, largest_, false);
}

void MpiCommunicator::abort(int code) { calls_.abort(code); }

void MpiCommunicator::close() {
  if (owns_world_)
    check(calls_.finalize(), "MPI_Finalize");
  else
    check(calls_.free(comm_), "MPI_Comm_free");
}

std::unique_ptr<Communicator> open_mpi_world(std::size_t largest_message) {
  const LockstepMpiCalls& calls = open_mpi_plug_in();
  LockstepMpiHandle world = 0;
  int serialized = 0;
  if (const int code = calls.start(&world, &serialized); code != 0) fail(ErrorKind::io, "mpi: MPI_Init_thread: error {}", code);
  if (!serialized) fail(ErrorKind::io, "mpi: this MPI was built without threads: expected MPI_THREAD_SERIALIZED or better");
  return std::make_unique<MpiCommunicator>(calls, world, largest_message, true);
}

}  // namespace lockstep
