#include "distributed/mpi/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/error.h"

namespace lockstep {

MpiCommunicator::MpiCommunicator(MPI_Comm comm, std::size_t largest_message, bool owns_world)
    : comm_(comm), largest_(std::clamp<std::size_t>(largest_message, 64, std::size_t{1} << 30)), owns_world_(owns_world) {
  check(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  MPI_Comm local = MPI_COMM_NULL;
  check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local), "MPI_Comm_split_type");
  check(MPI_Comm_rank(local, &local_rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(local, &local_size_), "MPI_Comm_size");
  check(MPI_Comm_free(&local), "MPI_Comm_free");
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  check(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  library_ = std::string(text, static_cast<std::size_t>(length));
  library_ = library_.substr(0, library_.find_first_of(",\n"));
}

void MpiCommunicator::check(int code, const char* call) const {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail(ErrorKind::io, "mpi: rank {}: {}: {}", rank_, call, std::string(text, static_cast<std::size_t>(length)));
}

void MpiCommunicator::barrier() { check(MPI_Barrier(comm_), "MPI_Barrier"); }

void MpiCommunicator::broadcast(void* data, std::size_t bytes, int root) {
  for (std::size_t at = 0; at < bytes; at += largest_)
    check(MPI_Bcast(static_cast<std::byte*>(data) + at, static_cast<int>(std::min(largest_, bytes - at)), MPI_BYTE, root, comm_),
          "MPI_Bcast");
}

void MpiCommunicator::sum(void* data, std::int64_t count, MPI_Datatype type, std::size_t item_bytes) {
  const auto items = static_cast<std::int64_t>(largest_ / item_bytes);
  for (std::int64_t at = 0; at < count; at += items)
    check(MPI_Allreduce(MPI_IN_PLACE, static_cast<std::byte*>(data) + static_cast<std::size_t>(at) * item_bytes,
                        static_cast<int>(std::min(items, count - at)), type, MPI_SUM, comm_),
          "MPI_Allreduce");
}

void MpiCommunicator::all_reduce_sum(float* data, std::int64_t count) { sum(data, count, MPI_FLOAT, sizeof(float)); }
void MpiCommunicator::all_reduce_sum(double* data, std::int64_t count) { sum(data, count, MPI_DOUBLE, sizeof(double)); }

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
  const void* from = send == to + places[mine] ? MPI_IN_PLACE : send;
  check(MPI_Allgatherv(from, counts[mine], MPI_BYTE, receive, counts.data(), places.data(), MPI_BYTE, comm_), "MPI_Allgatherv");
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
  std::vector<MPI_Request> requests;
  const auto pieces = [&](std::size_t bytes, const auto& start) {
    for (std::size_t at = 0; at < bytes; at += largest_) {
      requests.push_back(MPI_REQUEST_NULL);
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
    pieces(receive_bytes[source], [&](std::size_t at, int count, MPI_Request* request) {
      check(MPI_Irecv(to + receive_at[source] + at, count, MPI_BYTE, static_cast<int>(source), kTag, comm_, request), "MPI_Irecv");
    });
  }
  for (std::size_t step = 1; step < ranks; ++step) {
    const std::size_t target = (mine + step) % ranks;
    pieces(send_bytes[target], [&](std::size_t at, int count, MPI_Request* request) {
      check(MPI_Isend(from + send_at[target] + at, count, MPI_BYTE, static_cast<int>(target), kTag, comm_, request), "MPI_Isend");
    });
  }
  if (send_bytes[mine] > 0) std::memcpy(to + receive_at[mine], from + send_at[mine], send_bytes[mine]);
  check(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
}

std::unique_ptr<Communicator> MpiCommunicator::split(int colour) {
  MPI_Comm group = MPI_COMM_NULL;
  check(MPI_Comm_split(comm_, colour, rank_, &group), "MPI_Comm_split");
  return std::make_unique<MpiCommunicator>(group, largest_, false);
}

void MpiCommunicator::abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

void MpiCommunicator::close() {
  if (owns_world_)
    check(MPI_Finalize(), "MPI_Finalize");
  else
    check(MPI_Comm_free(&comm_), "MPI_Comm_free");
}

}  // namespace lockstep
