#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/model/plan.h"
#include "core/model/state_visitor.h"
#include "core/tensor/tensor.h"

namespace lockstep {

/// A read-only set of all parameters: current, averaged or best. Passed by value.
struct ParameterView {
  const float* arena = nullptr;
  std::uint64_t version = 0;                    ///< packed copies made of another version are stale
};

/// The arenas: parameters, gradients, one per optimizer slot; and the layers' states. Every writer of parameters
/// ends with `commit()`, which makes packed copies stale.
class ParameterStore {
 public:
  /// Parameters initialised from (seed, stable name); `slots` names the optimizer's arenas, zeroed.
  ParameterStore(std::shared_ptr<const Plan> plan, std::uint64_t seed, std::vector<std::string> slots);

  const Plan& plan() const { return *plan_; }
  float* parameters() { return reinterpret_cast<float*>(parameters_.data()); }
  float* gradients() { return reinterpret_cast<float*>(gradients_.data()); }
  std::vector<float*> slots();
  /// Run-scope states by plan index; batch-position ones are empty here.
  std::vector<Tensor>& states() { return states_; }

  ParameterView view() const { return {reinterpret_cast<const float*>(parameters_.data()), version_}; }
  void commit() { version_ = next_version(); }

  /// Parameters (plain shapes), run-scope states, optimizer slots.
  void visit(StateVisitor& visitor);
  /// Parameters and run-scope states alone: what `evaluate` and `export` need.
  void visit_weights(StateVisitor& visitor);

  /// Versions are unique in the process, so copies of two stores never pass for each other.
  static std::uint64_t next_version();

 private:
  std::shared_ptr<const Plan> plan_;  // shared with the programs: both outlive each other in tests and tools
  HostBuffer parameters_, gradients_;
  std::vector<std::string> slot_names_;
  std::vector<HostBuffer> slots_;
  std::vector<Tensor> states_;
  std::uint64_t version_ = 0;
};

}  // namespace lockstep
