#include <algorithm>

#include "tests/support/simt/runtime_state.h"

namespace lockstep::simt {

namespace {

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

void add(std::vector<int>& to, const std::vector<int>& more) {
  for (const int n : more)
    if (std::find(to.begin(), to.end(), n) == to.end()) to.push_back(n);
}

/// Whether every node stands before one of `ends`.
bool all_joined(const FakeGraph& graph, const std::vector<int>& ends) {
  std::vector<bool> reached(graph.nodes.size(), false);
  std::vector<int> open = ends;
  while (!open.empty()) {
    const std::size_t n = static_cast<std::size_t>(open.back());
    open.pop_back();
    if (reached[n]) continue;
    reached[n] = true;
    open.insert(open.end(), graph.nodes[n].after.begin(), graph.nodes[n].after.end());
  }
  return std::find(reached.begin(), reached.end(), false) == reached.end();
}

}  // namespace

cudaError_t invalidate(Capture& capture, cudaError_t error) {
  if (capture.error == cudaSuccess) capture.error = error;
  return error;
}

cudaError_t record_node(FakeStream& stream, Operation operation) {
  Capture& capture = *stream.capture;
  if (capture.error != cudaSuccess) return cudaErrorStreamCaptureInvalidated;
  const int number = static_cast<int>(capture.graph.nodes.size());
  for (const int n : stream.frontier) capture.graph.nodes[static_cast<std::size_t>(n)].before.push_back(number);
  capture.graph.nodes.push_back({std::move(operation), stream.frontier, {}});
  stream.frontier = {number};
  return cudaSuccess;
}

cudaError_t forbid_in_capture(Lock&) {
  if (thread_mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  for (FakeStream* stream : runtime().streams) {
    if (!stream->capture || stream->capture->mode == cudaStreamCaptureModeRelaxed) continue;
    const bool own = stream->capture->thread == std::this_thread::get_id();
    if (own || stream->capture->mode == cudaStreamCaptureModeGlobal) return invalidate(*stream->capture, cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

}  // namespace lockstep::simt

using namespace lockstep::simt;

extern "C" {

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, thread_mode);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaStreamBeginCapture", lock, stream); error != cudaSuccess) return leave(error);
  FakeStream& origin = stream_of(stream);
  if (origin.capture) return leave(invalidate(*origin.capture, cudaErrorIllegalState));
  auto capture = std::make_shared<Capture>();
  capture->origin = &origin, capture->thread = std::this_thread::get_id(), capture->mode = mode;
  origin.capture = capture;
  origin.frontier.clear();
  return leave(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Lock lock(runtime().mutex);
  *graph = nullptr;
  if (const cudaError_t error = enter("cudaStreamEndCapture", lock, stream); error != cudaSuccess) return leave(error);
  const std::shared_ptr<Capture> capture = stream_of(stream).capture;
  if (!capture) return leave(cudaErrorIllegalState);
  if (capture->origin != &stream_of(stream)) return leave(invalidate(*capture, cudaErrorStreamCaptureUnmatched));
  if (capture->thread != std::this_thread::get_id()) return leave(invalidate(*capture, cudaErrorStreamCaptureWrongThread));
  const bool joined = all_joined(capture->graph, stream_of(stream).frontier);
  for (FakeStream* s : runtime().streams)
    if (s->capture == capture) s->capture = nullptr, s->frontier.clear();
  if (capture->error != cudaSuccess) return leave(cudaErrorStreamCaptureInvalidated);
  if (!joined) return leave(cudaErrorStreamCaptureUnjoined);
  auto made = std::make_shared<FakeGraph>(std::move(capture->graph));
  *graph = reinterpret_cast<cudaGraph_t>(made.get());
  runtime().graphs[made.get()] = made;
  return leave(cudaSuccess);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaStreamIsCapturing", lock, stream); error != cudaSuccess) return leave(error);
  const FakeStream& asked = stream_of(stream);
  *status = !asked.capture                          ? cudaStreamCaptureStatusNone
            : asked.capture->error == cudaSuccess ? cudaStreamCaptureStatusActive
                                                  : cudaStreamCaptureStatusInvalidated;
  return leave(cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaGraphInstantiate", lock); error != cudaSuccess) return leave(error);
  const auto it = runtime().graphs.find(graph);
  if (it == runtime().graphs.end()) return leave(cudaErrorInvalidValue);
  auto made = std::make_shared<FakeGraph>(*it->second);
  *executable = reinterpret_cast<cudaGraphExec_t>(made.get());
  runtime().executables[made.get()] = made;
  return leave(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaGraphLaunch", lock, stream); error != cudaSuccess) return leave(error);
  const auto it = runtime().executables.find(executable);
  if (it == runtime().executables.end()) return leave(cudaErrorInvalidValue);
  auto run = std::make_shared<GraphRun>();
  run->graph = it->second;
  for (std::size_t i = 0; i < run->graph->nodes.size(); ++i) {
    run->missing.push_back(run->graph->nodes[i].after.size());
    if (run->missing.back() == 0) run->ready.push_back(i);
  }
  return leave(submit(stream_of(stream), {.kind = Operation::Kind::graph, .run = std::move(run)}));
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaGraphUpload", lock, stream); error != cudaSuccess) return leave(error);
  return leave(runtime().executables.contains(executable) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaGraphGetNodes", lock); error != cudaSuccess) return leave(error);
  const auto it = runtime().graphs.find(graph);
  if (it == runtime().graphs.end() || nodes) return leave(cudaErrorInvalidValue);
  *count = it->second->nodes.size();
  return leave(cudaSuccess);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  Lock lock(runtime().mutex);
  ++runtime().calls["cudaGraphDestroy"];
  return runtime().graphs.erase(graph) ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  Lock lock(runtime().mutex);
  ++runtime().calls["cudaGraphExecDestroy"];
  return runtime().executables.erase(executable) ? cudaSuccess : cudaErrorInvalidValue;
}

// Events.

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaEventCreateWithFlags", lock); error != cudaSuccess) return leave(error);
  auto made = std::make_shared<FakeEvent>();
  made->timing = !(flags & cudaEventDisableTiming);
  *event = reinterpret_cast<cudaEvent_t>(made.get());
  runtime().events[made.get()] = made;
  return leave(cudaSuccess);
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Lock lock(runtime().mutex);
  ++runtime().calls["cudaEventDestroy"];
  return runtime().events.erase(event) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaEventRecord", lock, stream); error != cudaSuccess) return leave(error);
  const auto it = runtime().events.find(event);
  if (it == runtime().events.end()) return leave(cudaErrorInvalidResourceHandle);
  FakeStream& on = stream_of(stream);
  FakeEvent& recorded = *it->second;
  if (on.capture && !(flags & cudaEventRecordExternal)) {
    if (on.capture->error != cudaSuccess) return leave(cudaErrorStreamCaptureInvalidated);
    recorded.capture = on.capture;
    recorded.frontier = on.frontier;
    return leave(cudaSuccess);
  }
  if (!on.capture && flags & cudaEventRecordExternal) return leave(cudaErrorInvalidValue);
  recorded.capture = nullptr;
  std::shared_ptr<EventRecord> record;
  if (!on.capture) {
    record = recorded.last = std::make_shared<EventRecord>();
    record->on = &on;
  }
  return leave(submit(on, {.kind = Operation::Kind::record, .event = it->second, .record = std::move(record)}));
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) { return cudaEventRecordWithFlags(event, stream, 0); }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaStreamWaitEvent", lock, stream); error != cudaSuccess) return leave(error);
  const auto it = runtime().events.find(event);
  if (it == runtime().events.end()) return leave(cudaErrorInvalidResourceHandle);
  FakeStream& waiter = stream_of(stream);
  const FakeEvent& awaited = *it->second;
  if (awaited.capture) {
    Capture& capture = *awaited.capture;
    const bool live = capture.origin->capture == awaited.capture;
    if (!live) return leave(cudaErrorCapturedEvent);
    if (waiter.capture && waiter.capture != awaited.capture) {
      invalidate(*waiter.capture, cudaErrorStreamCaptureMerge);
      return leave(invalidate(capture, cudaErrorStreamCaptureMerge));
    }
    if (!waiter.capture) waiter.capture = awaited.capture, waiter.frontier.clear();
    add(waiter.frontier, awaited.frontier);
    return leave(cudaSuccess);
  }
  if (waiter.capture) return awaited.last ? leave(invalidate(*waiter.capture, cudaErrorStreamCaptureIsolation)) : leave(cudaSuccess);
  if (awaited.last && !awaited.last->done) waiter.queue.push_back({.kind = Operation::Kind::wait, .event = it->second, .record = awaited.last});
  return leave(cudaSuccess);
}

namespace {

/// A query or a wait; `wait` says which.
cudaError_t look_at(cudaEvent_t event, const char* name, bool wait) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter(name, lock); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  const auto it = runtime().events.find(event);
  if (it == runtime().events.end()) return leave(cudaErrorInvalidResourceHandle);
  const std::shared_ptr<FakeEvent> seen = it->second;
  if (seen->capture) return leave(cudaErrorCapturedEvent);
  const auto done = [&] { return !seen->last || seen->last->done; };
  if (!done() && runtime().streams.contains(seen->last->on)) {
    if (wait)
      advance_until(lock, *seen->last->on, done);
    else
      advance_some(lock, *seen->last->on);
  }
  if (runtime().sticky != cudaSuccess) return leave(runtime().sticky);
  return done() ? leave(cudaSuccess) : cudaErrorNotReady;
}

}  // namespace

cudaError_t cudaEventQuery(cudaEvent_t event) { return look_at(event, "cudaEventQuery", false); }
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return look_at(event, "cudaEventSynchronize", true); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaEventElapsedTime", lock); error != cudaSuccess) return leave(error);
  const auto a = runtime().events.find(start), b = runtime().events.find(end);
  if (a == runtime().events.end() || b == runtime().events.end()) return leave(cudaErrorInvalidResourceHandle);
  const FakeEvent &first = *a->second, &last = *b->second;
  if (!first.timing || !last.timing || !first.last || !last.last) return leave(cudaErrorInvalidResourceHandle);
  if (!first.last->done || !last.last->done) return leave(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(last.last->at - first.last->at).count();
  return leave(cudaSuccess);
}

}  // extern "C"
