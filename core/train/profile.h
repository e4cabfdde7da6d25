#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/model/work.h"

namespace lockstep {

/// One kind of work of a step: all that one kernel does for one op.
struct ProfileEntry {
  std::string op;          ///< "conv2d.forward", "fold gradients", "update"
  std::string kernel;      ///< Kernel::implementation(); empty for what is no kernel
  std::int64_t calls = 0;  ///< instructions a step
  Work work;               ///< of this rank, a step of a full batch
  double seconds = 0;      ///< of all steps that were profiled
};

/// Where the time of steps goes. A step's work is marked on the device's main queue as it is queued, also in recordings, and
/// is added up when the step is done; nothing waits in between. Work of threads is counted by those who run it.
/// The device must outlive it.
class Profile {
 public:
  static constexpr int kNobody = -1;

  explicit Profile(Device& device) : device_(device) {}

  /// The number of the op's entry for this kernel; what one more instruction of it costs a step is added to it.
  int add(const std::string& op, const std::string& kernel, const Work& work = {});
  /// Replaces what a step of an entry costs.
  void set_work(int entry, const Work& work) { entries_[static_cast<std::size_t>(entry)].work = work; }

  /// A step is queued, or a recording of equal signature replayed.
  void begin(const std::vector<std::int64_t>& signature);
  /// All that the main queue was given since the mark before is the work of `entry`, or of nobody.
  void mark(int entry);
  /// `work` queues work of `entry`, under its name.
  template <class Body>
  void piece(int entry, const Body& work) {
    device_.open_range(entries_[static_cast<std::size_t>(entry)].op);
    work();
    device_.close_range();
    mark(entry);
  }
  /// Seconds that the threads of the host spent on an entry. One thread at a time.
  void count(int entry, double seconds) { entries_[static_cast<std::size_t>(entry)].seconds += seconds; }
  /// The step that began last is done: its marks are added up.
  void finish();

  /// Forgets all times, keeps entries and marks.
  void restart();
  std::int64_t steps() const { return steps_; }
  /// The longest first.
  std::vector<ProfileEntry> entries() const;

 private:
  struct Mark {
    int entry = kNobody;
    std::unique_ptr<Marker> marker;
  };
  struct Pass {
    std::vector<Mark> marks;
    std::size_t used = 0;
  };
  void set_mark(int entry);

  Device& device_;
  std::vector<ProfileEntry> entries_;
  std::map<std::vector<std::int64_t>, Pass> passes_;
  Pass* pass_ = nullptr;
  bool fresh_ = false;  ///< nothing of the step is marked yet: a replay marks by itself
  std::int64_t steps_ = 0;
};

/// `work`, as a piece of the profile where there is one.
template <class Body>
void run_piece(Profile* profile, int entry, const Body& work) {
  profile ? profile->piece(entry, work) : work();
}

}  // namespace lockstep
