#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::cuda {

/// What a plan is good for. A compiled plan and an engine's number mean nothing for another model or version of cuDNN.
struct PlanDevice {
  std::string gpu;    ///< "NVIDIA H200"
  std::string cudnn;  ///< "9.19.0"
  int driver = 0;     ///< 13000; 0: made without one, for any

  bool same_gpu(const PlanDevice& other) const { return gpu == other.gpu && cudnn == other.cudnn; }
  bool operator==(const PlanDevice&) const = default;
  /// `NVIDIA H200, cudnn 9.19.0, driver 13.0`, without the driver where there is none.
  std::string text() const;
  /// The same as a file's name: `NVIDIA-H200-cudnn-9.19.0-driver-13.0.json`.
  std::string file_name() const;
};

/// Which engine serves which problem, and plans that were compiled for it:
///
///   {"format": 2, "gpu": "NVIDIA H200", "cudnn": "9.19.0", "driver": 13000,
///    "engines": {"forward bf16 ... lane 16": {"engine": "62:11=1", "microseconds": 41.5}},
///    "plans": {"forward bf16 ... engine 62:11=1 rows 16": "<base64>"}}
///
/// "driver" and "microseconds" may be absent. Plans stay in base64 until they are used.
struct PlanFile {
  struct Engine {
    std::string engine;       ///< EngineChoice::text()
    double microseconds = 0;  ///< measured; 0: taken without measuring
    bool operator==(const Engine&) const = default;
  };

  PlanDevice device;
  std::map<std::string, Engine> engines;
  std::map<std::string, std::string> plans;

  bool empty() const { return engines.empty() && plans.empty(); }
  /// What `later` names replaces what is here.
  void merge(const PlanFile& later);
  std::string text() const;
  /// None where the text is damaged or of another format.
  static std::optional<PlanFile> parse(const std::string& text);
  static std::optional<PlanFile> read(const std::string& path);
};

std::string to_base64(const std::vector<std::uint8_t>& bytes);
/// Nothing where a character is not of the code.
std::vector<std::uint8_t> from_base64(const std::string& text);

}  // namespace lockstep::cuda
