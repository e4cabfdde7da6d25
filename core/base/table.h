#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// A plain text table: columns as wide as their widest cell, two spaces apart, a rule under the head. Columns whose
/// every cell is a number are set to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace lockstep
