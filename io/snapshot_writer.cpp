#include "io/snapshot_writer.h"

#include <utility>

namespace lockstep {

SnapshotWriter::~SnapshotWriter() {
  if (thread_.joinable()) thread_.join();
}

void SnapshotWriter::wait() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void SnapshotWriter::save(CheckpointMeta meta, const VisitState& visit) {
  wait();
  meta_ = std::move(meta);
  copy_.take(visit);
  thread_ = std::thread([this] {
    try {
      save_(meta_, copy_);
    } catch (...) {
      error_ = std::current_exception();
    }
  });
}

}  // namespace lockstep
