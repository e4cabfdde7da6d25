#include "core/base/table.h"

#include <algorithm>
#include <cctype>

namespace lockstep {
namespace {

bool is_number(const std::string& cell) {
  return cell.empty() || std::ranges::all_of(cell, [](unsigned char c) { return std::isdigit(c) || c == '.' || c == ',' || c == '-' || c == '%'; });
}

}  // namespace

std::string TextTable::text() const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> right(columns, rows_.size() > 1);
  for (std::size_t r = 0; r < rows_.size(); ++r)
    for (std::size_t c = 0; c < columns; ++c) {
      widths[c] = std::max(widths[c], rows_[r][c].size());
      if (r > 0 && !is_number(rows_[r][c])) right[c] = false;
    }
  std::string result;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - rows_[r][c].size(), ' ');
      line += (c ? "  " : "") + (right[c] ? padding + rows_[r][c] : rows_[r][c] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + "\n";
    if (r == 0) {
      for (std::size_t c = 0; c < columns; ++c) result += (c ? "  " : "") + std::string(widths[c], '-');
      result += "\n";
    }
  }
  return result;
}

}  // namespace lockstep
