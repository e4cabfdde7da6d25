#include "launch/terminal.h"

#include <strings.h>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/error.h"

namespace lockstep {
namespace {

bool is_set(const char* text) { return text != nullptr && *text != '\0'; }

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (is_set(value)) return ::strcasestr(value, "utf-8") != nullptr || ::strcasestr(value, "utf8") != nullptr;
  }
  return false;
}

}  // namespace

Terminal terminal_of(int file) {
  Terminal terminal;
  terminal.is_tty = ::isatty(file) == 1;
  struct winsize size = {};
  if (terminal.is_tty && ::ioctl(file, TIOCGWINSZ, &size) == 0) terminal.columns = size.ws_col;
  const char* term = std::getenv("TERM");
  terminal.term = term ? term : "";
  terminal.utf8 = locale_is_utf8();
  return terminal;
}

ProgressMode parse_progress(const std::string& text) {
  if (text == "auto") return ProgressMode::automatic;
  if (text == "bar") return ProgressMode::bar;
  if (text == "plain") return ProgressMode::plain;
  if (text == "json") return ProgressMode::json;
  if (text == "off") return ProgressMode::off;
  fail(ErrorKind::usage, "--progress: unknown value \"{}\"; known: auto, bar, plain, json, off", text);
}

ProgressMode choose_progress(ProgressMode asked, const Terminal& terminal) {
  if (asked != ProgressMode::automatic) return asked;
  return terminal.interactive() ? ProgressMode::bar : ProgressMode::plain;
}

bool choose_color(ColorMode asked, const char* force_color, const char* clicolor_force, const char* no_color, const Terminal& terminal) {
  if (asked != ColorMode::automatic) return asked == ColorMode::always;
  if (is_set(force_color) || is_set(clicolor_force)) return true;
  if (is_set(no_color)) return false;
  return terminal.interactive();
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "-:--";
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t hours = total / 3600, minutes = total / 60 % 60, rest = total % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest) : fmt::format("{}:{:02}", minutes, rest);
}

}  // namespace lockstep
