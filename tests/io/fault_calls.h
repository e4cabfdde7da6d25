#pragma once

#include <cerrno>
#include <memory>

#include "io/file_calls.h"

namespace lockstep::testing {

/// Counts system calls and makes the k-th one (from 0) fail with an error number; -1 lets all pass.
struct FaultCounter {
  int failing_call = -1;
  int error_number = EIO;
  int calls = 0;
  bool triggered = false;

  bool strike() {
    const bool now = calls++ == failing_call;
    if (now) {
      errno = error_number;
      triggered = true;
    }
    return now;
  }
};

/// The system's calls through a counter, which must outlive them.
inline FileCalls faulty_calls(FaultCounter& faults) {
  const FileCalls& real = FileCalls::system();
  FileCalls calls;
  calls.open = [&](const char* path, int flags) { return faults.strike() ? -1 : real.open(path, flags); };
  calls.write = [&](int file, const void* data, std::size_t bytes) { return faults.strike() ? -1 : real.write(file, data, bytes); };
  calls.read = [&](int file, void* data, std::size_t bytes) { return faults.strike() ? -1 : real.read(file, data, bytes); };
  calls.sync = [&](int file) { return faults.strike() ? -1 : real.sync(file); };
  calls.close = [&](int file) {
    const int result = real.close(file);
    return faults.strike() ? -1 : result;
  };
  calls.rename = [&](const char* from, const char* to) { return faults.strike() ? -1 : real.rename(from, to); };
  calls.unlink = [&](const char* path) { return faults.strike() ? -1 : real.unlink(path); };
  return calls;
}

}  // namespace lockstep::testing
