#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/simt/fake_runtime.h"

// The inside of the fake runtime. One lock guards all of it; queued work runs without the lock.
namespace lockstep::simt {

struct FakeStream;
struct Capture;

/// One record of an event. Who waits for it waits for this one, whatever the event is recorded for later.
struct EventRecord {
  FakeStream* on = nullptr;
  bool done = false;
  std::chrono::steady_clock::time_point at;
};

struct FakeEvent {
  std::shared_ptr<EventRecord> last;  ///< null: never recorded outside of a capture
  std::shared_ptr<Capture> capture;  ///< set where the last record was captured
  std::vector<int> frontier;
  bool timing = true;
};

/// What one queue entry or one graph node does.
struct Operation {
  enum class Kind { work, host_work, record, wait, graph } kind = Kind::work;
  std::function<void()> work;
  std::shared_ptr<FakeEvent> event;
  std::shared_ptr<EventRecord> record;  ///< of record and wait; null in a graph: each run is a new one
  std::shared_ptr<struct GraphRun> run;
};

struct FakeGraph {
  struct Node {
    Operation operation;
    std::vector<int> after, before;
  };
  std::vector<Node> nodes;
};

/// One launch of an executable graph.
struct GraphRun {
  std::shared_ptr<const FakeGraph> graph;
  std::vector<std::size_t> missing;  ///< predecessors that are not done, by node
  std::vector<std::size_t> ready;
};

struct Capture {
  FakeStream* origin = nullptr;
  std::thread::id thread;
  cudaStreamCaptureMode mode{};
  FakeGraph graph;
  cudaError_t error = cudaSuccess;  ///< what made it invalid
};

struct FakeStream {
  std::thread::id owner;
  int device = 0;
  bool blocking = true;
  bool busy = false;
  std::deque<Operation> queue;
  std::shared_ptr<Capture> capture;
  std::vector<int> frontier;  ///< the nodes that the next captured one follows
};

struct Runtime {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<FakeStream*> streams;
  std::map<void*, std::shared_ptr<FakeEvent>> events;
  std::map<void*, std::shared_ptr<FakeGraph>> graphs, executables;
  std::map<std::string, int> calls;
  std::vector<Failure> failures;
  cudaError_t sticky = cudaSuccess;
  std::string sticky_text;
  Machine machine;
};
Runtime& runtime();
using Lock = std::unique_lock<std::mutex>;

/// The beginning of every call: counts it; the error that it has to return at once, or success.
cudaError_t enter(const char* name, Lock& lock);
/// The same for a call on a stream, which must be one of ours: the legacy stream is not used in this project.
cudaError_t enter(const char* name, Lock& lock, cudaStream_t stream);
/// The end of every call: keeps the error for cudaGetLastError.
cudaError_t leave(cudaError_t error);
/// Prints an error of queued work and keeps it: every later call returns it.
void stick(const std::string& text);
/// Whether this thread runs a host function: no calls from there.
bool& in_host_function();
int& current_device();

// Streams.
FakeStream& stream_of(cudaStream_t stream);
/// Runs queued work until `done`, `target` first of all. False where nothing can ever end the wait.
bool advance_until(Lock& lock, FakeStream& target, const std::function<bool()>& done);
/// A little progress, as between two looks at the clock.
void advance_some(Lock& lock, FakeStream& target);
cudaError_t synchronize(Lock& lock, FakeStream& stream);
/// Queues or captures.
cudaError_t submit(FakeStream& stream, Operation operation);

// Capture.
cudaError_t record_node(FakeStream& stream, Operation operation);
/// The error of a call that cannot be made while this thread captures; it makes the capture invalid.
cudaError_t forbid_in_capture(Lock& lock);
cudaError_t invalidate(Capture& capture, cudaError_t error);

// Memory.
struct MemoryKind {
  enum Kind { pageable, pinned, device } kind = pageable;
};
MemoryKind::Kind kind_of(const void* address);
/// Lets this thread's queued work touch device memory while it lives.
class OpenMemory {
 public:
  OpenMemory();
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;
};

}  // namespace lockstep::simt
