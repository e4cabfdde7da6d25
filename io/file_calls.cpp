#include "io/file_calls.h"

#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

namespace lockstep {

const FileCalls& FileCalls::system() {
  static const FileCalls calls{
      .open = [](const char* path, int flags) { return ::open(path, flags, 0666); },
      .write = [](int file, const void* data, std::size_t bytes) { return ::write(file, data, bytes); },
      .read = [](int file, void* data, std::size_t bytes) { return ::read(file, data, bytes); },
      .sync = [](int file) { return ::fsync(file); },
      .close = [](int file) { return ::close(file); },
      .rename = [](const char* from, const char* to) { return ::rename(from, to); },
      .unlink = [](const char* path) { return ::unlink(path); },
  };
  return calls;
}

}  // namespace lockstep
