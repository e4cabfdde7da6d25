#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <sys/types.h>

namespace lockstep {

/// The system calls behind every file that we commit; each returns what the call of its name returns and sets errno.
/// The seam for faults: a test replaces members to make the k-th call fail.
struct FileCalls {
  /// Flags as for open(2); a created file gets mode 0666 less the umask.
  std::function<int(const char* path, int flags)> open;
  std::function<ssize_t(int file, const void* data, std::size_t bytes)> write;
  std::function<ssize_t(int file, void* data, std::size_t bytes)> read;
  std::function<int(int file)> sync;
  std::function<int(int file)> close;
  std::function<int(const char* from, const char* to)> rename;
  std::function<int(const char* path)> unlink;

  /// The kernel's own.
  static const FileCalls& system();
};

}  // namespace lockstep
