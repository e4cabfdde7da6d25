#include "launch/callbacks/line_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"

namespace lockstep {

LineFile::LineFile(const std::string& path, std::int64_t last_step, int header_lines, const StepOf& step_of) : path_(path) {
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0) fail(ErrorKind::io, "\"{}\": cannot open: {}", path, std::strerror(errno));
  try {
    cut(last_step, header_lines, step_of);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

LineFile::~LineFile() { ::close(file_); }

void LineFile::cut(std::int64_t last_step, int header_lines, const StepOf& step_of) {
  struct stat info = {};
  if (::fstat(file_, &info) != 0 || !S_ISREG(info.st_mode)) return;  // a pipe or a device has nothing to keep
  std::ifstream lines(path_, std::ios::binary);
  if (!lines) fail(ErrorKind::io, "\"{}\": cannot read: {}", path_, std::strerror(errno));
  off_t kept = 0;
  int number = 0;
  // A line without its break ends in eof, and was never finished.
  for (std::string line; std::getline(lines, line) && !lines.eof(); ++number) {
    if (number >= header_lines) {
      const auto step = step_of(line);
      if (!step || *step > last_step) break;
    }
    if (number == 0) first_line_ = line;
    kept += static_cast<off_t>(line.size()) + 1;
  }
  if (::ftruncate(file_, kept) != 0) fail(ErrorKind::io, "\"{}\": cannot shorten: {}", path_, std::strerror(errno));
}

void LineFile::add(std::string line) {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t done = ::write(file_, rest.data(), rest.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail(ErrorKind::io, "\"{}\": cannot write: {}", path_, std::strerror(done == 0 ? ENOSPC : errno));
    rest.remove_prefix(static_cast<std::size_t>(done));
  }
}

}  // namespace lockstep
