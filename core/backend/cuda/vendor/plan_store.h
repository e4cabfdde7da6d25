#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::cuda {

/// Which engine serves which problem on which GPU, kept in a JSON file from run to run:
///
///   {"format": 1, "choices": {"NVIDIA H200; driver 13000; cudnn 9.19.0": {"forward bf16 ...": {"engine": "62:11=1",
///    "microseconds": 41.5, "plans": {"16": "<base64 of a compiled plan>"}}}}}
///
/// A GPU, driver or library that is not in the file finds nothing there. A file that cannot be read or understood counts
/// as empty: plans are then made anew. Thread-safe.
class PlanStore {
 public:
  struct Choice {
    std::string engine;       ///< EngineChoice::text()
    double microseconds = 0;  ///< measured; 0: taken without measuring
    std::map<std::int64_t, std::vector<std::uint8_t>> plans;  ///< compiled plans by their rows
  };

  /// `device` names GPU, driver and library. An empty path: nothing is read or written.
  PlanStore(std::string path, std::string device);

  std::optional<Choice> find(const std::string& problem) const;
  /// Kept, and written with all that the file holds by now, under a new name first. `io` error where it cannot be.
  void put(const std::string& problem, Choice choice);
  bool writable() const { return !path_.empty(); }

 private:
  std::string path_, device_;
  mutable std::mutex mutex_;
  std::map<std::string, Choice> choices_;
};

}  // namespace lockstep::cuda
