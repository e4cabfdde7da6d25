#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// What a backend's libraries leave to choose: which of several engines computes a problem. Another engine may give other bits, so all
/// ranks of a job, and all parts of a run, should go by the same choices. They are known from files (kept on this machine by
/// earlier runs, carried beside the program), with what was compiled for them, or are made with the kernel. Texts are JSON and name the
/// device and the library that they are for: for others they say nothing. Thread-safe.
class KernelChoices {
 public:
  /// An engine that was timed against the one that is taken without timing.
  struct Timing {
    std::vector<std::string> layers;  ///< "layer1.conv: conv2d.forward", all that pose the problem
    std::int64_t rows = 0;            ///< of the calls that were timed
    std::string first, best;          ///< engines
    double first_microseconds = 0, best_microseconds = 0;
  };

  virtual ~KernelChoices() = default;

  /// All that is known, with what was compiled.
  virtual std::string known() const = 0;
  /// Kernels made from now on go by this text alone: that of another rank.
  virtual void replace(const std::string& known) = 0;
  /// They go by this text first, then by what is known.
  virtual void prefer(const std::string& known) = 0;
  /// The choices that kernels made so far go by, without what was compiled: equal for equal choices.
  virtual std::string used() const = 0;

  /// `53 engines, 24 compiled plans (2 made now, 22 stored)`
  virtual std::string describe() const = 0;

  /// Keeps on this machine what was chosen, timed and compiled since. Never throws for a file that cannot be written: that is a note.
  virtual void keep() = 0;
  /// For the log, each once: what was refused and why, what could not be kept.
  virtual std::vector<std::string> take_notes() = 0;
  virtual std::vector<Timing> timings() const { return {}; }
};

}  // namespace lockstep
