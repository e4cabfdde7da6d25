#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/core.h>

namespace lockstep {

/// What went wrong, by whose fault it is. The values are the documented exit codes of the program.
enum class ErrorKind {
  usage = 64,     ///< the command line
  content = 65,   ///< bad content of a data file or a checkpoint
  internal = 70,  ///< a broken invariant of ours, or a diverged run
  io = 74,        ///< the file system or the network said no
  stopped = 75,   ///< stopped on request with the state saved: start again
  run_file = 78,  ///< the run file, or a model that it describes
};

/// The one exception type. The message is one line: `where: what: expected X, got Y; known: a, b`.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Throws an Error; the message is formatted by fmt.
template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// Guards an invariant of our own or a caller's duty; a violation is `internal`.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(ErrorKind::internal, format, std::forward<Args>(args)...);
}

}  // namespace lockstep
