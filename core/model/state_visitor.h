#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/tensor.h"

namespace lockstep {

/// Visits everything that must survive. Digest, save, load, snapshot, best weights and roll-back are visitors; who
/// has state calls every member in the same order on every rank. References may be written to (a load does).
class StateVisitor {
 public:
  virtual ~StateVisitor() = default;

  /// Opens and closes a named part; names nest: "optimizer/momentum/head.weight".
  virtual void enter(std::string_view name) = 0;
  virtual void leave() = 0;

  virtual void tensor(std::string_view name, TensorView value) = 0;
  /// State with one row per sample position of the global batch: `value` is this rank's rows
  /// [first_row, first_row + rows) of `total_rows`. Gathering them is the visitor's affair.
  virtual void positional(std::string_view name, TensorView value, std::int64_t first_row, std::int64_t total_rows) = 0;
  virtual void integer(std::string_view name, std::int64_t& value) = 0;
  virtual void real(std::string_view name, double& value) = 0;
  virtual void reals(std::string_view name, std::vector<double>& values) = 0;
  virtual void text(std::string_view name, std::string& value) = 0;
};

/// Opens a part for the length of a scope.
class StatePart {
 public:
  StatePart(StateVisitor& visitor, std::string_view name) : visitor_(visitor) { visitor_.enter(name); }
  ~StatePart() { visitor_.leave(); }
  StatePart(const StatePart&) = delete;
  StatePart& operator=(const StatePart&) = delete;

 private:
  StateVisitor& visitor_;
};

}  // namespace lockstep
