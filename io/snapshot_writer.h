#pragma once

#include <exception>
#include <functional>
#include <thread>

#include "io/checkpoint.h"

namespace lockstep {

/// Writes checkpoints behind training: the state is copied between two updates, and a thread saves the copy. One
/// write at a time. An error of the thread is rethrown by the next call. Whoever owns one calls `wait` before the end.
class SnapshotWriter {
 public:
  using Save = std::function<void(const CheckpointMeta&, const Snapshot&)>;

  /// `save` runs on the writer's thread, never twice at once: `[&](auto& meta, auto& state) { store.save(meta, state); }`.
  explicit SnapshotWriter(Save save) : save_(std::move(save)) {}
  /// Joins the thread, which reads memory of ours; its error is lost.
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  /// Waits for the write before, copies the state and returns: the state may change at once.
  void save(CheckpointMeta meta, const VisitState& visit);
  /// Until the last write is on the disk.
  void wait();

 private:
  Save save_;
  CheckpointMeta meta_;
  Snapshot copy_;
  std::exception_ptr error_;  // written by the thread, read after it was joined
  std::thread thread_;
};

}  // namespace lockstep
