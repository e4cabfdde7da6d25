#include "tests/distributed/nccl/fake_nccl.h"

#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

/// A library with NCCL's interface for ranks that are threads of one process and "devices" in host memory. As in NCCL
/// without blocking, calls return at once, and what they started is in progress until ncclCommGetAsyncError says
/// otherwise; here that is also when the data has moved. It is strict: a call while another is in progress, sizes that do
/// not match, ranks that make different calls, a communicator destroyed before it is finalized, are all errors.
namespace {

constexpr int kTurns = 3;  // how often something is "in progress" at least

struct Message {
  const void* data;
  std::size_t bytes;
  bool taken = false;
};

/// One collective call, seen by all ranks.
struct Meeting {
  std::string what;
  std::map<int, const void*> from;
  std::vector<float> sum;
  int left = 0;
};

struct Clique {
  int size = 0;
  int joined = 0, finalized = 0;
  bool broken = false;
  std::map<std::pair<int, int>, std::deque<std::shared_ptr<Message>>> mail;
  std::map<int, Meeting> meetings;
};

std::mutex guard;
std::map<std::string, Clique> cliques;
std::map<int, int> faults;
FakeCounts counts{};
thread_local int depth = 0;
thread_local ncclComm_t grouped = nullptr;
thread_local ncclResult_t group_result = ncclSuccess;
thread_local int seen_version = 0;

int fault_of(int rank) {
  if (const auto own = faults.find(rank); own != faults.end()) return own->second;
  const auto all = faults.find(-1);
  return all == faults.end() ? kFakeNone : all->second;
}

}  // namespace

/// `work` items return true when they are done.
struct ncclComm {
  Clique* clique = nullptr;
  int rank = 0;
  bool started = false, finalizing = false, finalized = false;
  int turns = 0, meeting = 0;
  std::vector<std::function<bool()>> work;
  ncclResult_t error = ncclSuccess;

  ncclResult_t state() {
    const int fault = fault_of(rank);
    if (fault == kFakePeerLost) return ncclRemoteError;
    if (depth > 0) error = ncclInvalidUsage;  // nothing of a group begins before its end
    if (error != ncclSuccess) return error;
    if (clique->broken) return ncclRemoteError;
    if (++turns < kTurns) return ncclInProgress;
    if (!started) {
      if (fault == kFakeNeverStarts || clique->joined < clique->size) return ncclInProgress;
      started = true;
    }
    if (fault == kFakeCallsHang && !work.empty()) return ncclInProgress;
    std::erase_if(work, [](const auto& item) { return item(); });
    if (error != ncclSuccess) return error;
    if (!work.empty()) return ncclInProgress;
    if (finalizing) {
      if (clique->finalized < clique->size) return ncclInProgress;
      finalized = true;
    }
    return ncclSuccess;
  }
};

namespace {

/// Queues part of a group, or a group of one.
ncclResult_t queue(ncclComm_t comm, std::function<bool()> item) {
  if (!comm->started || comm->finalizing || (depth == 0 && !comm->work.empty()) || (grouped && grouped != comm)) return ncclInvalidUsage;
  if (depth > 0 && !grouped && !comm->work.empty()) return group_result = ncclInvalidUsage;
  if (depth > 0) grouped = comm;
  comm->work.push_back(std::move(item));
  comm->turns = 0;
  return depth > 0 ? ncclSuccess : ncclInProgress;
}

/// A call that all ranks make: `finish` moves this rank's data once all are there.
ncclResult_t meet(ncclComm_t comm, const std::string& what, const void* from, std::function<void(Meeting&)> finish) {
  const int number = comm->meeting++;
  return queue(comm, [=, here = false, moved = false]() mutable {
    Meeting& meeting = comm->clique->meetings[number];
    if (!here && !meeting.what.empty() && meeting.what != what) comm->clique->broken = true;
    meeting.what = what;
    meeting.from[comm->rank] = from;
    here = true;
    if (static_cast<int>(meeting.from.size()) < comm->clique->size) return false;
    if (!moved) finish(meeting), ++meeting.left;
    moved = true;
    return meeting.left == comm->clique->size;  // until then others read what this rank sends
  });
}

}  // namespace

extern "C" {

void fake_nccl_fault(int rank, int fault) {
  const std::lock_guard lock(guard);
  if (rank < 0) faults.clear();
  faults[rank] = fault;
}
void fake_nccl_version(int version) { seen_version = version; }
FakeCounts fake_nccl_counts() {
  const std::lock_guard lock(guard);
  return std::exchange(counts, FakeCounts{});
}

ncclResult_t ncclGetVersion(int* version) {
  *version = seen_version ? seen_version : NCCL_VERSION_CODE;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> next{0};
  std::memset(id, 0, sizeof(*id));
  std::snprintf(id->internal, sizeof(id->internal), "clique %d", ++next);
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) { return result == ncclRemoteError ? "remote process exited" : "fake error"; }
const char* ncclGetLastError(ncclComm_t) { return "socket closed\n"; }

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  const std::lock_guard lock(guard);
  if (config->magic != 0xcafebeef || config->blocking != 0) return ncclInvalidArgument;
  if (fault_of(rank) == kFakeStartFails) return ncclSystemError;
  Clique& clique = cliques[id.internal];
  clique.size = ranks;
  ++clique.joined;
  *comm = new ncclComm{.clique = &clique, .rank = rank};
  return ncclInProgress;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  const std::lock_guard lock(guard);
  *state = comm->state();
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const std::lock_guard lock(guard);
  if (!comm->work.empty() || comm->finalizing) return ncclInvalidUsage;
  ++counts.finalized;
  comm->finalizing = true;
  comm->turns = 0;
  ++comm->clique->finalized;
  return ncclInProgress;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::lock_guard lock(guard);
  if (!comm->finalized) return ncclInvalidUsage;
  ++counts.destroyed;
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  for (;;) {
    {
      const std::lock_guard lock(guard);
      if (fault_of(comm->rank) != kFakeAbortHangs) {
        ++counts.aborts;
        comm->clique->broken = true;
        return ncclSuccess;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

ncclResult_t ncclGroupStart() {
  if (depth++ == 0) grouped = nullptr, group_result = ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (depth == 0) return ncclInvalidUsage;
  const std::lock_guard lock(guard);
  if (--depth > 0) return ncclSuccess;
  ++counts.groups;
  const bool empty = grouped == nullptr;
  grouped = nullptr;
  return group_result != ncclSuccess ? group_result : empty ? ncclSuccess : ncclInProgress;
}

ncclResult_t ncclSend(const void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t) {
  const std::lock_guard lock(guard);
  if (depth == 0 || type != ncclInt8 || peer == comm->rank || count == 0) return ncclInvalidArgument;
  ++counts.sends;
  auto message = std::make_shared<Message>(Message{data, count});
  comm->clique->mail[{comm->rank, peer}].push_back(message);
  return queue(comm, [message] { return message->taken; });
}
ncclResult_t ncclRecv(void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t) {
  const std::lock_guard lock(guard);
  if (depth == 0 || type != ncclInt8 || peer == comm->rank || count == 0) return ncclInvalidArgument;
  ++counts.receives;
  return queue(comm, [=] {
    auto& mail = comm->clique->mail[{peer, comm->rank}];
    if (mail.empty()) return false;
    if (mail.front()->bytes != count) {
      comm->clique->broken = true;
      return false;
    }
    std::memcpy(data, mail.front()->data, count);
    mail.front()->taken = true;
    mail.pop_front();
    return true;
  });
}
ncclResult_t ncclAllGather(const void* send, void* receive, size_t count, ncclDataType_t, ncclComm_t comm, cudaStream_t) {
  const std::lock_guard lock(guard);
  ++counts.gathers;
  return meet(comm, "gather " + std::to_string(count), send, [=](Meeting& meeting) {
    for (const auto& [rank, from] : meeting.from) {
      char* to = static_cast<char*>(receive) + static_cast<size_t>(rank) * count;
      if (to != from) std::memcpy(to, from, count);
    }
  });
}
ncclResult_t ncclBroadcast(const void* send, void* receive, size_t count, ncclDataType_t, int root, ncclComm_t comm, cudaStream_t) {
  const std::lock_guard lock(guard);
  ++counts.broadcasts;
  return meet(comm, "broadcast " + std::to_string(count) + " of " + std::to_string(root), send, [=](Meeting& meeting) {
    if (meeting.from[root] != receive) std::memcpy(receive, meeting.from[root], count);
  });
}
ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t) {
  const std::lock_guard lock(guard);
  if (type != ncclFloat32 || op != ncclSum) return ncclInvalidArgument;
  ++counts.sums;
  return meet(comm, "sum " + std::to_string(count), send, [=](Meeting& meeting) {
    // The first to finish adds, before anybody overwrites what it sent.
    if (meeting.sum.empty()) {
      meeting.sum.resize(count);
      for (const auto& [rank, from] : meeting.from)
        for (size_t i = 0; i < count; ++i) meeting.sum[i] += static_cast<const float*>(from)[i];
    }
    std::memcpy(receive, meeting.sum.data(), count * sizeof(float));
  });
}

}  // extern "C"
