#include "core/backend/cuda/vendor/described_gpu.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace lockstep::cuda {

DescribedGpu read_described_gpu(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail(ErrorKind::usage, "cuda: \"{}\": no description of a GPU there", path);
  const auto text = nlohmann::json::parse(file, nullptr, false);
  try {
    const auto& properties = text.at("properties");
    return {.name = properties.at("deviceName").get<std::string>(), .properties = properties.dump(), .sm = text.at("sm").get<int>()};
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::usage, "cuda: \"{}\" does not describe a GPU: expected a JSON object with \"sm\" and \"properties\" with \"deviceName\"", path);
  }
}

}  // namespace lockstep::cuda
