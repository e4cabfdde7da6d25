#include "core/backend/cuda/vendor_options.h"

namespace lockstep::cuda {

VendorOptions& vendor_options() {
  static VendorOptions options;
  return options;
}

std::function<KernelChoices*()>& vendor_choices() {
  static std::function<KernelChoices*()> choices;
  return choices;
}

std::map<std::string, std::function<std::string()>>& vendor_versions() {
  static std::map<std::string, std::function<std::string()>> versions;
  return versions;
}

}  // namespace lockstep::cuda
