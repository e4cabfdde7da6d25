#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace lockstep {

/// The log of one rank. Lines are `2026-11-21T09:00:00.123Z info [node17:0] text`. Any thread; never throws for a full disk.
class Log {
 public:
  struct Options {
    std::string file;  ///< appended to; empty: no file
    int rank = 0;
    std::function<void(std::string_view)> warn = {};  ///< gets every warning as one plain line, for the user's eyes
  };

  /// `io` error where the file cannot be opened.
  explicit Log(Options options);
  ~Log();
  Log(Log&&) noexcept;
  Log& operator=(Log&&) noexcept;

  void info(std::string_view text);
  void warn(std::string_view text);
  void error(std::string_view text);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The name of this host.
std::string host_name();

}  // namespace lockstep
