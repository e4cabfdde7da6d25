#pragma once

#include <string>

namespace lockstep {

/// What is known of an output. Open MPI gives every rank a pseudo-terminal of 0 columns where its own output goes to a
/// file, so a terminal is only one that has columns.
struct Terminal {
  bool is_tty = false;
  int columns = 0;
  std::string term;  ///< $TERM
  bool utf8 = false;

  bool interactive() const { return is_tty && columns > 0 && term != "dumb"; }
};

/// Asks the system about a file descriptor, $TERM and the locale's variables (LC_ALL, LC_CTYPE, LANG).
Terminal terminal_of(int file);

/// The values of `--progress`.
enum class ProgressMode { automatic, bar, plain, json, off };
/// `usage` error for what is none of auto, bar, plain, json, off.
ProgressMode parse_progress(const std::string& text);
/// `automatic` becomes `bar` on an interactive terminal and `plain` elsewhere; what was asked for stays.
ProgressMode choose_progress(ProgressMode asked, const Terminal& terminal);

/// The values of `--color`.
enum class ColorMode { automatic, always, never };
/// The command line decides, then FORCE_COLOR or CLICOLOR_FORCE, then NO_COLOR (each counts when not empty; nullptr: not
/// set), then the terminal.
bool choose_color(ColorMode asked, const char* force_color, const char* clicolor_force, const char* no_color, const Terminal& terminal);

/// "0:07", "3:21", "2:05:09".
std::string format_duration(double seconds);

}  // namespace lockstep
