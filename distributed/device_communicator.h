#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/tensor/stream.h"

namespace lockstep {

/// Collectives of ranks on device memory. Calls queue on the stream and return; all may be recorded and replayed, which
/// freezes addresses and sizes. Every rank makes the same calls in the same order, on all streams together, and records
/// and replays alike. The first call on a pair of buffers is never part of a recording. One thread at a time.
class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "self", "staged over Open MPI 4.1.4", "NCCL 2.28.9 (NCCL_DEBUG=INFO)".
  virtual std::string describe() const = 0;
  /// Whether a collective on one queue runs beside work of others. Where it does not, streams are the main queue.
  virtual bool overlaps() const = 0;

  /// Every rank's bytes, rank after rank; `bytes[r]` is rank r's part, known to all. `send` may be this rank's own
  /// place in `receive`.
  virtual void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes, StreamView stream) = 0;
  /// Rank r sends send_bytes[s] bytes to s (parts follow each other in `send`) and receives receive_bytes[s] from s.
  virtual void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                          std::span<const std::size_t> receive_bytes, StreamView stream) = 0;
  /// In place; the sum's order is the library's own: `fast` mode alone.
  virtual void all_reduce_sum(float* data, std::int64_t count, StreamView stream) = 0;

  /// Throws when a collective that was queued has failed since: `io` error. Cheap: for `Device::watch`.
  virtual void check() = 0;
  /// Gives up what is queued, so that the device comes free; returns within seconds. Local. The caller then ends the job
  /// by `Communicator::abort`.
  virtual void abort() = 0;
  /// The end of a job that succeeded, when all recordings are gone. Collective. Without it the destructor aborts.
  virtual void close() {}
};

}  // namespace lockstep
