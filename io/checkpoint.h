#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/model/snapshot.h"
#include "io/file_calls.h"

namespace lockstep {

/// What a checkpoint says of itself besides the state.
struct CheckpointMeta {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::string created_by;                 ///< program and version
  std::string fingerprint;                ///< Backend::describe(): bits are promised only where it is the same
  std::string run_file;                   ///< TOML text of the resolved run file
  std::map<std::string, double> metrics;  ///< "validation.accuracy": what the best is chosen by
};

struct Checkpoint {
  CheckpointMeta meta;
  Snapshot state;
  std::string digest;  ///< of the state, as state_digest gives it
};

/// Format version 1: a 512-byte text block (checkpoint_envelope.h), then an HDF5 file in v110 format. Every member is
/// a dataset under its name, chunked with Fletcher32, with the attributes `kind`, `position` (its place in the order of
/// the visit) and `xxh3_128`. A text is its UTF-8 bytes. Beside the state's own groups stand `/run_file` (bytes) and
/// `/metrics` (one attribute each); the root's attributes hold the rest.
constexpr std::int64_t kCheckpointVersion = 1;

/// Writes a checkpoint, reads it back, verifies it and commits it: the file is whole and durable, or an older one of
/// this name is untouched. `io` errors. Any thread. Positional state must have been gathered.
void save_checkpoint(const std::string& path, const CheckpointMeta& meta, const Snapshot& state, const FileCalls& calls = FileCalls::system());
void save_checkpoint(const std::string& path, const CheckpointMeta& meta, const VisitState& visit);

/// Reads and verifies every byte. A damaged, foreign, newer or hostile file is a `content` error that names the file.
Checkpoint read_checkpoint(const std::string& path, const FileCalls& calls = FileCalls::system());

/// Reads, verifies, compares with what the state expects, and only then writes into the state. `subset` leaves what
/// the state does not ask for, so that weights alone can be loaded. Whoever owns parameters commits them afterwards.
CheckpointMeta load_checkpoint(const std::string& path, const VisitState& visit, SnapshotMatch match = SnapshotMatch::exact);

}  // namespace lockstep
