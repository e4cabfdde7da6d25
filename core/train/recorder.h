#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/device/device.h"

namespace lockstep {

/// Runs work that is queued again and again. The first time a signature comes its work is queued as it is, which also
/// lets everybody take the memory they need; the second time it is recorded where the device can; from then on the
/// recording is replayed. The device and all that the work refers to must outlive it.
class Recorder {
 public:
  explicit Recorder(Device& device) : device_(device) {}

  /// Work of equal signatures must queue the same.
  void run(const std::vector<std::int64_t>& signature, const std::function<void()>& work);
  /// Off: every run queues its work as it is (profiling).
  void enable(bool on) { enabled_ = on; }
  /// Forgets all recordings.
  void clear() { states_.clear(); }
  int recordings() const;

 private:
  struct State {
    bool seen = false, cannot = false;
    std::unique_ptr<Recording> recording;
  };

  Device& device_;
  bool enabled_ = true;
  std::map<std::vector<std::int64_t>, State> states_;
};

}  // namespace lockstep
