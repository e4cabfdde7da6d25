#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/stream.h"

namespace lockstep {

/// A group of ranks that call the same collectives in the same order. Host memory; calls return when the result is
/// there. An error is an exception on the rank that sees it, and `abort` takes the others along. Thread: one at a time.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Ranks on this host, and this rank's number among them.
  virtual int local_rank() const = 0;
  virtual int local_size() const = 0;
  /// "self", "threads", "Open MPI 4.1.4".
  virtual std::string describe() const = 0;

  virtual void barrier() = 0;
  virtual void broadcast(void* data, std::size_t bytes, int root) = 0;
  /// Sum in the library's own order: `fast` mode alone.
  virtual void all_reduce_sum(float* data, std::int64_t count) = 0;
  virtual void all_reduce_sum(double* data, std::int64_t count) = 0;
  /// Every rank's bytes, rank after rank; `bytes[r]` is rank r's part, known to all. `send` may be this rank's own
  /// place in `receive`.
  virtual void all_gather(const void* send, void* receive, std::span<const std::size_t> bytes) = 0;
  /// Rank r sends send_bytes[s] bytes to s (parts follow each other in `send`) and receives receive_bytes[s] from s.
  virtual void all_to_all(const void* send, std::span<const std::size_t> send_bytes, void* receive,
                          std::span<const std::size_t> receive_bytes) = 0;
  /// A group of the ranks of one colour, in rank order. Collective.
  virtual std::unique_ptr<Communicator> split(int colour) = 0;

  /// Ends all ranks of the job with this exit code; for MPI it does not return. On threads every collective that
  /// waits, and every later one, throws.
  virtual void abort(int code) = 0;
  /// The last call of a job that succeeded, on the world. Collective, which is why no destructor does it.
  virtual void close() {}
};

/// Gathers one text per rank (start-up reports). Collective.
std::vector<std::string> all_gather_text(Communicator& communicator, const std::string& text);
/// The root's text on every rank. Collective.
std::string broadcast_text(Communicator& communicator, const std::string& text, int root = 0);

}  // namespace lockstep
