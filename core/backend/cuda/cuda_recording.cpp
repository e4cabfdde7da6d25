#include "core/backend/cuda/cuda_recording.h"

#include <utility>

#include "core/backend/cuda/check.h"

namespace lockstep::cuda {

CudaRecording::~CudaRecording() {
  for (const Piece& piece : pieces_)
    if (piece.graph) cudaGraphExecDestroy(piece.graph);
}

void CudaRecording::add(cudaGraphExec_t graph) {
  if (graph) pieces_.push_back({graph, {}});
}

void CudaRecording::add(std::function<void()> work) { pieces_.push_back({nullptr, std::move(work)}); }

void CudaRecording::replay() {
  device_.use();
  require(!device_.recording_, "cuda: a recording is replayed while another one is made");
  const StreamView main = device_.stream(Queue::kMain);
  for (const Piece& piece : pieces_) {
    if (piece.graph)
      check(cudaGraphLaunch(piece.graph, native(main)), "cudaGraphLaunch");
    else
      device_.call_host(piece.work);
  }
}

void CudaDevice::begin_piece() {
  const cudaStream_t main = streams_[Queue::kMain];
  check(cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  // Work on another queue would run at once if its queue were not part of this.
  for (int queue = 0; queue < Queue::kCount; ++queue)
    if (queue != Queue::kMain) order(stream(Queue::kMain), stream(queue));
}

cudaGraphExec_t CudaDevice::end_piece() {
  cudaError_t joined = cudaSuccess;
  for (int queue = 0; queue < Queue::kCount && joined == cudaSuccess; ++queue)
    if (queue != Queue::kMain) joined = link(stream(queue), stream(Queue::kMain));
  // A recording is ended whatever happened in it.
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(streams_[Queue::kMain], &graph), "the end of a recording");
  const std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, decltype(&cudaGraphDestroy)> owner(graph, &cudaGraphDestroy);
  check(joined, "the end of a recording");
  std::size_t nodes = 0;
  check(cudaGraphGetNodes(graph, nullptr, &nodes), "cudaGraphGetNodes");
  if (nodes == 0) return nullptr;
  cudaGraphExec_t executable = nullptr;
  // Otherwise all of it would have the main queue's priority, and reductions would wait behind the kernels beside them.
  check(cudaGraphInstantiate(&executable, graph, cudaGraphInstantiateFlagUseNodePriority), "cudaGraphInstantiate");
  const cudaError_t uploaded = cudaGraphUpload(executable, streams_[Queue::kMain]);
  if (uploaded != cudaSuccess) cudaGraphExecDestroy(executable);
  check(uploaded, "cudaGraphUpload");
  return executable;
}

void CudaDevice::abandon_piece() noexcept {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(streams_[Queue::kMain], &status);
  if (status != cudaStreamCaptureStatusNone) {
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(streams_[Queue::kMain], &graph);
    if (graph) cudaGraphDestroy(graph);
  }
  cudaGetLastError();
}

std::unique_ptr<Recording> CudaDevice::record(const std::function<void()>& work) {
  use();
  require(!recording_ && !in_host_call_, "cuda: a recording begins inside another one");
  auto recording = std::make_unique<CudaRecording>(*this);
  try {
    begin_piece();
    recording_ = recording.get();
    work();
    recording->add(end_piece());
    recording_ = nullptr;
  } catch (...) {
    recording_ = nullptr;
    abandon_piece();
    throw;
  }
  return recording;
}

void CudaDevice::call_host(std::function<void()> work) {
  require(!in_host_call_, "cuda: work of the host calls the host's work");
  if (recording_) {
    recording_->add(end_piece());
    recording_->add(std::move(work));
    begin_piece();
    return;
  }
  wait(stream(Queue::kMain));
  in_host_call_ = true;
  try {
    work();
  } catch (...) {
    in_host_call_ = false;
    throw;
  }
  in_host_call_ = false;
}

}  // namespace lockstep::cuda
