#pragma once

#include "core/model/state_visitor.h"
#include "distributed/communicator.h"

namespace lockstep {

/// Overwrites a state with the root's: after it all ranks hold the same parameters, slots and numbers. Rows that belong
/// to sample positions differ by rank and stay. Collective per member. Whoever owns parameters commits them afterwards.
class BroadcastVisitor : public StateVisitor {
 public:
  explicit BroadcastVisitor(Communicator& communicator, int root = 0) : communicator_(communicator), root_(root) {}

  void enter(std::string_view) override {}
  void leave() override {}
  void tensor(std::string_view name, TensorView value) override;
  void positional(std::string_view, TensorView, std::int64_t, std::int64_t) override {}
  void integer(std::string_view name, std::int64_t& value) override;
  void real(std::string_view name, double& value) override;
  void reals(std::string_view name, std::vector<double>& values) override;
  void text(std::string_view name, std::string& value) override;

 private:
  Communicator& communicator_;
  int root_;
};

}  // namespace lockstep
