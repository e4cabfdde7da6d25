#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device/mirrored.h"
#include "core/model/plan.h"
#include "core/model/state_visitor.h"

namespace lockstep {

/// A read-only set of all parameters, on the device: current, averaged or best. Passed by value.
struct ParameterView {
  const float* arena = nullptr;
  std::uint64_t version = 0;  ///< packed copies made of another version are stale
};

/// The arenas: parameters, gradients, one per optimizer slot; and the layers' states. They lie on the device; `visit`
/// and the host's views show a mirror, which on the host device is the memory itself. Whoever writes on the host ends
/// with `commit()`, whoever writes on the device with `changed()`: either makes packed copies stale.
class ParameterStore {
 public:
  /// Parameters initialised from (seed, stable name); `slots` names the optimizer's arenas, zeroed. The device must
  /// outlive it.
  ParameterStore(std::shared_ptr<const Plan> plan, std::uint64_t seed, std::vector<std::string> slots, Device& device = host_device());

  const Plan& plan() const { return *plan_; }
  ParameterView view() const { return {reinterpret_cast<const float*>(parameters_.device()), version_}; }
  float* device_parameters() { return reinterpret_cast<float*>(parameters_.device()); }
  float* device_gradients() { return gradients_.as<float>(); }
  std::vector<float*> device_slots();
  /// Run-scope states by plan index; null for batch-position ones.
  std::vector<void*> device_states();

  /// On the host: as of the last `download()`.
  float* parameters() { return reinterpret_cast<float*>(parameters_.host()); }
  /// Run-scope states by plan index; batch-position ones are empty here.
  std::vector<MirroredTensor>& states() { return states_; }
  std::vector<float> download_gradients();
  void download();

  void commit();
  void changed() { version_ = next_version(); }

  /// Parameters (plain shapes), run-scope states, optimizer slots.
  void visit(StateVisitor& visitor);
  /// Parameters and run-scope states alone: what `evaluate` and `export` need.
  void visit_weights(StateVisitor& visitor);

  /// Versions are unique in the process, so copies of two stores never pass for each other.
  static std::uint64_t next_version();

 private:
  void show_weights(StateVisitor& visitor);

  std::shared_ptr<const Plan> plan_;  // shared with the programs: both outlive each other in tests and tools
  Device& device_;
  MirroredBuffer parameters_;
  DeviceBuffer gradients_;
  std::vector<std::string> slot_names_;
  std::vector<MirroredBuffer> slots_;
  std::vector<MirroredTensor> states_;
  std::uint64_t version_ = 0;
};

}  // namespace lockstep
