#include "io/atomic_file.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <regex>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace lockstep {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

[[noreturn]] void fail_here(const std::string& path, std::string_view what) {
  fail(ErrorKind::io, "\"{}\": cannot {}: {}", path, what, std::strerror(errno));
}

std::string directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// An open file; closed quietly where nobody closed it before.
class OpenFile {
 public:
  OpenFile(const std::string& path, int flags, std::string_view what, const FileCalls& calls) : path_(path), calls_(calls) {
    do file_ = calls_.open(path.c_str(), flags | O_CLOEXEC);
    while (file_ < 0 && errno == EINTR);
    if (file_ < 0) fail_here(path, what);
  }
  ~OpenFile() {
    if (file_ >= 0) calls_.close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor() const { return file_; }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t done = calls_.write(file_, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done == 0) errno = ENOSPC;
      if (done <= 0) fail_here(path_, "write");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }
  /// Fewer bytes than asked for only at the end of the file.
  std::size_t read(std::byte* data, std::size_t bytes) {
    std::size_t total = 0;
    while (total < bytes) {
      const ssize_t done = calls_.read(file_, data + total, bytes - total);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail_here(path_, "read");
      if (done == 0) break;
      total += static_cast<std::size_t>(done);
    }
    return total;
  }
  void sync() {
    if (calls_.sync(file_) != 0) fail_here(path_, "write to the disk");
  }
  void close() {
    const int file = file_;
    file_ = -1;
    if (calls_.close(file) != 0) fail_here(path_, "close");
  }

 private:
  std::string path_;
  const FileCalls& calls_;
  int file_ = -1;
};

std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> serial{0};
  const std::filesystem::path target(path);
  const std::string name = fmt::format(".{}.{}.{}.lockstep-tmp", target.filename().string(), ::getpid(), serial++);
  return (target.parent_path() / name).string();
}

bool is_temporary_name(const std::string& name) {
  static const std::regex pattern(R"(\..+\.[0-9]+\.[0-9]+\.lockstep-tmp)");
  return std::regex_match(name, pattern);
}

void compare_with_file(const std::string& path, std::span<const std::span<const std::byte>> parts, const FileCalls& calls) {
  Digest written, found;
  for (const auto part : parts) written.add(part.data(), part.size());
  OpenFile file(path, O_RDONLY, "open what was written", calls);
  std::vector<std::byte> block(kReadBytes);
  while (const std::size_t bytes = file.read(block.data(), block.size())) found.add(block.data(), bytes);
  file.close();
  if (written.hex() != found.hex()) fail(ErrorKind::io, "\"{}\": reads back differently from what was written", path);
}

}  // namespace

void commit_file(const std::string& path, std::span<const std::span<const std::byte>> parts,
                 const std::function<void(const std::string& temporary)>& verify, const FileCalls& calls) {
  const std::string temporary = temporary_name(path);
  OpenFile file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, "create", calls);
  try {
    ::flock(file.descriptor(), LOCK_EX | LOCK_NB);
    for (const auto part : parts) file.write(part);
    compare_with_file(temporary, parts, calls);
    if (verify) verify(temporary);
    file.sync();
    if (calls.rename(temporary.c_str(), path.c_str()) != 0) fail_here(path, "rename the finished file");
  } catch (...) {
    calls.unlink(temporary.c_str());
    throw;
  }
  file.close();
  OpenFile directory(directory_of(path), O_RDONLY | O_DIRECTORY, "open the directory", calls);
  directory.sync();
  directory.close();
}

void commit_text(const std::string& path, std::string_view text, const FileCalls& calls) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  commit_file(path, std::span(&part, 1), {}, calls);
}

HostBuffer read_file(const std::string& path, std::size_t most_bytes, const FileCalls& calls) {
  OpenFile file(path, O_RDONLY, "open", calls);
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) fail_here(path, "ask for the size");
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::content, "\"{}\": is not a regular file", path);
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes > most_bytes) fail(ErrorKind::content, "\"{}\": is too large: expected up to {} bytes, got {}", path, most_bytes, bytes);
  HostBuffer content(bytes);
  if (file.read(content.data(), bytes) != bytes) fail(ErrorKind::io, "\"{}\": became shorter while it was read", path);
  return content;
}

std::string read_text(const std::string& path, std::size_t most_bytes, const FileCalls& calls) {
  const HostBuffer content = read_file(path, most_bytes, calls);
  return {reinterpret_cast<const char*>(content.data()), content.bytes()};
}

std::vector<std::string> remove_leftovers(const std::string& directory, const FileCalls& calls) {
  std::vector<std::string> removed;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(directory, problem)) {
    const std::string path = entry.path().string();
    if (!is_temporary_name(entry.path().filename().string()) || !entry.is_regular_file(problem) || entry.is_symlink(problem)) continue;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) continue;
    const bool dead = ::flock(file, LOCK_EX | LOCK_NB) == 0;
    if (dead && calls.unlink(path.c_str()) == 0) removed.push_back(path);
    ::close(file);
  }
  return removed;
}

}  // namespace lockstep
