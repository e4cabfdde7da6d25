#pragma once

#include <optional>
#include <string>

namespace lockstep {

/// Lines of a file that somebody writes as time goes by: a pipe, a terminal. Does not own the file.
class LineInput {
 public:
  explicit LineInput(int file) : file_(file) {}

  enum class State { line, waiting, ended };
  struct Read {
    State state = State::waiting;
    std::string line = {};  ///< without its end
  };
  /// The next line; waits for it for so long, for ever where `milliseconds` is negative. What stands behind the last end of line is a
  /// line too. `io` error where the system says no.
  Read read(int milliseconds);

 private:
  std::optional<std::string> take_line();

  int file_;
  std::string pending_;
  bool ended_ = false;
};

}  // namespace lockstep
