#include "launch/bench/line_input.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace lockstep {

std::optional<std::string> LineInput::take_line() {
  const std::size_t end = pending_.find('\n');
  if (end == std::string::npos && (!ended_ || pending_.empty())) return {};
  std::string line = pending_.substr(0, end);
  pending_.erase(0, end == std::string::npos ? end : end + 1);
  return line;
}

LineInput::Read LineInput::read(int milliseconds) {
  for (;;) {
    if (auto line = take_line()) return {State::line, std::move(*line)};
    if (ended_) return {State::ended};
    pollfd wait{.fd = file_, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, milliseconds);
    if (ready == 0) return {State::waiting};
    std::array<char, 4096> buffer{};
    const ssize_t got = ready > 0 ? ::read(file_, buffer.data(), buffer.size()) : -1;
    if (got < 0 && errno != EINTR && errno != EAGAIN) fail(ErrorKind::io, "standard input: {}", std::strerror(errno));
    if (got == 0) ended_ = true;
    if (got > 0) pending_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace lockstep
