#pragma once

#include <optional>
#include <string>

namespace lockstep {

/// The lock on a run directory: an open-file-description lock on one small file, so it goes with the process that holds
/// it, however that ends, and asking who holds it disturbs nobody. Works across hosts where the file system's locks do.
/// Where the file system knows no locks, the holder written in the file counts if it is a live process of this host.
class RunLock {
 public:
  /// `usage` error that names the holder when it is held: `"runs/a": is in use by process 12 on node17 since ...`.
  explicit RunLock(const std::string& directory);
  ~RunLock();
  RunLock(RunLock&&) noexcept;
  RunLock& operator=(RunLock&&) = delete;

  /// "process 12 on node17 since 2026-11-21T09:00:00Z" where somebody holds it.
  static std::optional<std::string> holder(const std::string& directory);

 private:
  int file_ = -1;
};

}  // namespace lockstep
