#include "launch/run_lock.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "core/base/error.h"
#include "launch/logging.h"

namespace lockstep {
namespace {

std::string lock_path(const std::string& directory) { return directory + "/lock"; }

struct flock whole_file() {
  struct flock range = {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

bool no_locks_here(int error) { return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL; }

std::string read_holder(int file) {
  std::array<char, 512> text{};
  const ssize_t bytes = ::pread(file, text.data(), text.size(), 0);
  std::string line(text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  return line.substr(0, line.find('\n'));
}

/// Whether the text names a live process of this host.
bool alive_here(const std::string& holder) {
  std::istringstream words(holder);
  std::string process, on, host;
  long number = 0;
  words >> process >> number >> on >> host;
  return number > 0 && host == host_name() && number != ::getpid() && (::kill(static_cast<pid_t>(number), 0) == 0 || errno == EPERM);
}

std::string describe_self() {
  std::array<char, 32> now{};
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::strftime(now.data(), now.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return fmt::format("process {} on {} since {}", ::getpid(), host_name(), now.data());
}

}  // namespace

RunLock::RunLock(const std::string& directory) {
  const std::string path = lock_path(directory);
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail(ErrorKind::io, "\"{}\": cannot open the lock: {}", path, std::strerror(errno));
  struct flock range = whole_file();
  const bool locked = ::fcntl(file_, F_OFD_SETLK, &range) == 0;
  const int error = locked ? 0 : errno;
  const std::string holder = read_holder(file_);
  if (!locked && (!no_locks_here(error) || alive_here(holder))) {
    ::close(file_);
    file_ = -1;
    if (error == EAGAIN || error == EACCES || no_locks_here(error))
      fail(ErrorKind::usage, "\"{}\": is in use by {}; wait for it or stop it first", directory, holder.empty() ? "another run" : holder);
    fail(ErrorKind::io, "\"{}\": cannot lock: {}", path, std::strerror(error));
  }
  const std::string self = describe_self() + "\n";
  if (::ftruncate(file_, 0) != 0 || ::pwrite(file_, self.data(), self.size(), 0) != static_cast<ssize_t>(self.size())) {
    const int reason = errno;
    ::close(file_);
    file_ = -1;
    fail(ErrorKind::io, "\"{}\": cannot write: {}", path, std::strerror(reason));
  }
}

RunLock::~RunLock() {
  if (file_ < 0) return;
  // The text is the lock where the file system has none, so it goes with the holder.
  if (::ftruncate(file_, 0) != 0) errno = 0;
  ::close(file_);
}

RunLock::RunLock(RunLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

std::optional<std::string> RunLock::holder(const std::string& directory) {
  const int file = ::open(lock_path(directory).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  struct flock range = whole_file();
  const int answer = ::fcntl(file, F_OFD_GETLK, &range);
  const int error = errno;
  const std::string holder = read_holder(file);
  ::close(file);
  const bool held = answer == 0 ? range.l_type != F_UNLCK : no_locks_here(error) && alive_here(holder);
  if (!held) return {};
  return holder.empty() ? "another run" : holder;
}

}  // namespace lockstep
