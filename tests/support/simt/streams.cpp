#include <algorithm>
#include <exception>

#include "core/base/error.h"
#include "tests/support/simt/random.h"
#include "tests/support/simt/runtime_state.h"

namespace lockstep::simt {

Runtime& runtime() {
  static auto* const one = new Runtime;  // outlives every thread's last call
  return *one;
}

bool& in_host_function() {
  thread_local bool inside = false;
  return inside;
}

FakeStream& stream_of(cudaStream_t stream) { return *reinterpret_cast<FakeStream*>(stream); }

namespace {

void run_unlocked(Lock& lock, FakeStream& stream, const Operation& operation) {
  stream.busy = true;
  lock.unlock();
  std::string error;
  try {
    if (operation.kind == Operation::Kind::host_work) {
      in_host_function() = true;
      operation.work();
    } else {
      const OpenMemory open;
      operation.work();
    }
  } catch (const std::exception& e) {
    error = e.what();
  }
  in_host_function() = false;
  lock.lock();
  stream.busy = false;
  if (!error.empty()) stick(error);
  runtime().changed.notify_all();
}

void run(Lock& lock, FakeStream& stream, const Operation& operation) {
  if (operation.kind == Operation::Kind::record) {
    const auto record = operation.record ? operation.record : std::make_shared<EventRecord>();
    if (!operation.record) record->on = &stream, operation.event->last = record;
    record->done = true;
    record->at = std::chrono::steady_clock::now();
    runtime().changed.notify_all();
  } else if (operation.work) {
    run_unlocked(lock, stream, operation);
  }
}

/// One node of the graph at the stream's head, any whose predecessors are done.
void run_node(Lock& lock, FakeStream& stream, GraphRun& one) {
  if (!one.ready.empty()) {
    const std::size_t at = random_below(static_cast<std::uint32_t>(one.ready.size())), pick = one.ready[at];
    one.ready[at] = one.ready.back();
    one.ready.pop_back();
    run(lock, stream, one.graph->nodes[pick].operation);
    for (const int next : one.graph->nodes[pick].before)
      if (--one.missing[static_cast<std::size_t>(next)] == 0) one.ready.push_back(static_cast<std::size_t>(next));
  }
  if (one.ready.empty()) stream.queue.pop_front();
}

void run_head(Lock& lock, FakeStream& stream) {
  Operation& head = stream.queue.front();
  if (head.kind == Operation::Kind::graph) {
    const std::shared_ptr<GraphRun> one = head.run;
    run_node(lock, stream, *one);
    return;
  }
  const Operation operation = std::move(head);
  stream.queue.pop_front();
  if (operation.kind != Operation::Kind::wait) run(lock, stream, operation);
}

bool waits(const FakeStream& stream) {
  const Operation& head = stream.queue.front();
  return head.kind == Operation::Kind::wait && !head.record->done;
}
bool runnable(const FakeStream& stream) { return !stream.busy && !stream.queue.empty() && !waits(stream); }

/// The stream that must go on so that `target` can; null where none can now.
FakeStream* needed(FakeStream& target) {
  FakeStream* stream = &target;
  for (std::size_t hop = 0; hop <= runtime().streams.size(); ++hop) {
    if (stream->busy || stream->queue.empty()) return nullptr;
    if (!waits(*stream)) return stream;
    stream = stream->queue.front().record->on;
    if (!stream || !runtime().streams.contains(stream)) return nullptr;
  }
  return nullptr;
}

enum class Policy { needed_alone, any, others_first };

FakeStream* choose(FakeStream& target, Policy policy) {
  FakeStream* const must = needed(target);
  if (policy == Policy::needed_alone) return must;
  std::vector<FakeStream*> others;
  for (FakeStream* s : runtime().streams)
    if (s != must && s->owner == target.owner && runnable(*s)) others.push_back(s);
  if (policy == Policy::any && must) others.push_back(must);
  if (others.empty()) return must;
  std::sort(others.begin(), others.end());
  return others[random_below(static_cast<std::uint32_t>(others.size()))];
}

bool any_busy() {
  const auto& streams = runtime().streams;
  return std::any_of(streams.begin(), streams.end(), [](const FakeStream* s) { return s->busy; });
}

}  // namespace

bool advance_until(Lock& lock, FakeStream& target, const std::function<bool()>& done) {
  const Policy policy = static_cast<Policy>(random_below(3));
  while (!done()) {
    if (runtime().sticky != cudaSuccess) return true;
    if (FakeStream* next = choose(target, policy))
      run_head(lock, *next);
    else if (any_busy())
      runtime().changed.wait(lock);
    else
      return false;
  }
  return true;
}

void advance_some(Lock& lock, FakeStream& target) {
  const Policy policy = static_cast<Policy>(random_below(3));
  for (std::uint32_t steps = random_below(48); steps > 0; --steps) {
    FakeStream* const next = choose(target, policy);
    if (!next) break;
    run_head(lock, *next);
  }
}

cudaError_t synchronize(Lock& lock, FakeStream& stream) {
  const bool ended = advance_until(lock, stream, [&] { return stream.queue.empty() && !stream.busy; });
  if (!ended) stick("a stream waits for an event whose stream is gone");
  return runtime().sticky;
}

cudaError_t submit(FakeStream& stream, Operation operation) {
  if (stream.capture) return record_node(stream, std::move(operation));
  stream.queue.push_back(std::move(operation));
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("enqueue", lock, stream); error != cudaSuccess) return leave(error);
  return leave(submit(stream_of(stream), {.kind = Operation::Kind::work, .work = std::move(work)}));
}

cudaError_t launch(cudaStream_t stream, dim3 grid, dim3 block, std::function<void()> work) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaLaunchKernel", lock, stream); error != cudaSuccess) return leave(error);
  const bool fits = block.x > 0 && block.y > 0 && block.z > 0 && block.x <= 1024 && block.y <= 1024 && block.z <= 64 &&
                    block.x * block.y * block.z <= 1024 && grid.x <= 0x7FFFFFFFu && grid.y <= 65535 && grid.z <= 65535;
  if (!fits) return leave(cudaErrorInvalidConfiguration);
  return leave(submit(stream_of(stream), {.kind = Operation::Kind::work, .work = std::move(work)}));
}

}  // namespace lockstep::simt

using namespace lockstep::simt;

namespace {

cudaError_t make_stream(cudaStream_t* stream, unsigned flags, const char* name) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter(name, lock); error != cudaSuccess) return leave(error);
  auto* const made = new FakeStream;
  made->owner = std::this_thread::get_id(), made->device = current_device(), made->blocking = !(flags & cudaStreamNonBlocking);
  runtime().streams.insert(made);
  *stream = reinterpret_cast<cudaStream_t>(made);
  return leave(cudaSuccess);
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return make_stream(stream, 0, "cudaStreamCreate"); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) { return make_stream(stream, flags, "cudaStreamCreateWithFlags"); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return make_stream(stream, flags, "cudaStreamCreateWithPriority");
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaStreamDestroy", lock, stream); error != cudaSuccess && error != runtime().sticky) return leave(error);
  FakeStream& gone = stream_of(stream);
  if (gone.capture) invalidate(*gone.capture, cudaErrorStreamCaptureInvalidated);
  if (runtime().sticky == cudaSuccess) synchronize(lock, gone);
  runtime().streams.erase(&gone);
  delete &gone;
  return leave(runtime().sticky);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaStreamSynchronize", lock, stream); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  if (stream_of(stream).capture) return leave(invalidate(*stream_of(stream).capture, cudaErrorStreamCaptureUnsupported));
  return leave(synchronize(lock, stream_of(stream)));
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaStreamQuery", lock, stream); error != cudaSuccess) return leave(error);
  FakeStream& queried = stream_of(stream);
  if (queried.capture) return leave(invalidate(*queried.capture, cudaErrorStreamCaptureUnsupported));
  advance_some(lock, queried);
  if (runtime().sticky != cudaSuccess) return leave(runtime().sticky);
  return queried.queue.empty() && !queried.busy ? leave(cudaSuccess) : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize() {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaDeviceSynchronize", lock); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  const std::set<FakeStream*> all = runtime().streams;
  for (FakeStream* stream : all)
    if (runtime().streams.contains(stream) && stream->device == current_device() && !stream->capture) synchronize(lock, *stream);
  return leave(runtime().sticky);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaLaunchHostFunc", lock, stream); error != cudaSuccess) return leave(error);
  return leave(submit(stream_of(stream), {.kind = Operation::Kind::host_work, .work = [=] { function(data); }}));
}

}  // extern "C"
