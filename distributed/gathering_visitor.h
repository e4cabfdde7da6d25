#pragma once

#include "core/model/state_visitor.h"
#include "distributed/communicator.h"

namespace lockstep {

/// Shows another visitor a state as one rank alone would have it: rows by sample position, which lie spread over the
/// ranks, arrive as one tensor of all rows. What the inner visitor writes into it (a load) goes back to this rank's
/// rows. Collective for such members; all else is passed on. References must outlive it.
class GatheringVisitor : public StateVisitor {
 public:
  GatheringVisitor(Communicator& communicator, StateVisitor& inner) : communicator_(communicator), inner_(inner) {}

  void enter(std::string_view name) override { inner_.enter(name); }
  void leave() override { inner_.leave(); }
  void tensor(std::string_view name, TensorView value) override { inner_.tensor(name, value); }
  /// `internal` error when the rows of the ranks do not follow each other to `total_rows`.
  void positional(std::string_view name, TensorView value, std::int64_t first_row, std::int64_t total_rows) override;
  void integer(std::string_view name, std::int64_t& value) override { inner_.integer(name, value); }
  void real(std::string_view name, double& value) override { inner_.real(name, value); }
  void reals(std::string_view name, std::vector<double>& values) override { inner_.reals(name, values); }
  void text(std::string_view name, std::string& value) override { inner_.text(name, value); }

 private:
  Communicator& communicator_;
  StateVisitor& inner_;
};

}  // namespace lockstep
