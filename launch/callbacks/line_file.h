#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

/// A text file that grows by whole lines. Each line is one write(2), so a killed process leaves at most its last line
/// incomplete.
class LineFile {
 public:
  /// The step of a line, or nothing where the line is none of ours.
  using StepOf = std::function<std::optional<std::int64_t>(std::string_view line)>;

  /// Opens or makes the file. Cuts it at the first line that is incomplete, is none of ours, or has a step above
  /// `last_step`; the first `header_lines` lines stay. `io` error where the system says no.
  LineFile(const std::string& path, std::int64_t last_step, int header_lines, const StepOf& step_of);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// The first line that was kept, or "".
  const std::string& first_line() const { return first_line_; }
  /// Adds `line` and a line break. `io` error, with the path, where the system says no.
  void add(std::string line);

 private:
  void cut(std::int64_t last_step, int header_lines, const StepOf& step_of);

  std::string path_, first_line_;
  int file_ = -1;
};

}  // namespace lockstep
