#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <string>

/// A CUDA runtime without a GPU: defines the functions of cuda_runtime_api.h that the project uses, so it stands in the
/// place of libcudart. Device memory is host memory that only queued work may touch.
///
/// It is built to show mistakes:
///  * Streams are lazy. What is queued runs on the thread that waits for it (synchronise, query in a loop), and streams go
///    on in random turns, as far as the waits between them allow: a missing order shows as wrong numbers.
///  * Fresh memory is all ones (NaN), stands between guard bytes, and host code that touches it is ended with a message.
///  * A copy from pinned memory reads it when its turn comes; from other host memory, at once. A copy to other host memory waits.
///  * Capture follows the real rules, with the real error codes; the nodes of a graph run in any order that their edges allow.
///  * An error inside queued work (a barrier that some threads never reach, a damaged guard) is printed and stays:
///    every later call returns cudaErrorLaunchFailure with the text.
namespace lockstep::simt {

/// Queues work on a stream (or records it, where the stream is being captured). Device memory may be touched in it.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
/// The same for a kernel, under the name cudaLaunchKernel and with the limits of a launch.
cudaError_t launch(cudaStream_t stream, dim3 grid, dim3 block, std::function<void()> work);

/// What the machine looks like. Read by each call.
struct Machine {
  int devices = 1;
  int driver = 13000;  ///< 0: no driver, calls return cudaErrorInsufficientDriver
  std::size_t memory = std::size_t{8} << 30;  ///< of each device
  int capability_major = 9, capability_minor = 0;
  int multiprocessors = 132;
  bool same_bus = false;       ///< all devices show one PCI bus address
  bool guard_device_memory = true;  ///< host code must not touch device memory
};
Machine& machine();

/// From its `after`-th call on (0: the next one), `call` fails: once, or (`for_good`) with every call of any name after it,
/// as when a GPU falls off the bus. An empty name stands for any call.
struct Failure {
  std::string call;
  int after = 0;
  cudaError_t error = cudaErrorUnknown;
  bool for_good = false;
};
void fail_call(const Failure& failure);

/// How often a call was made since the last reset, such as "cudaMalloc".
int calls(const std::string& name);
/// Bytes of all devices that are allocated.
std::size_t allocated();
/// Of every block: whether the bytes round it are as they were. The text of the first damage, or empty.
std::string damage();

/// A machine as new: no failures, no errors, counts at 0. Memory and streams stay with their owners.
void reset();

}  // namespace lockstep::simt
