#include "launch/described_device.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>

#include "core/base/text.h"
#include "launch/device_choice.h"
#include "launch/nvidia_libraries.h"
#include "launch/shared_files.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::string description_of(const std::string& device) {
  std::error_code ignored;
  const std::string path = device.ends_with(".json") ? device : shared_folder() + "/devices/" + device + ".json";
  if (!fs::exists(path, ignored)) fail(ErrorKind::usage, "plan: --device: no GPU \"{}\" is described{}", device, hint(device, described_device_names()));
  return path;
}

/// Those who ask for libcuda.so.1 from now on find it, since the loader goes by names of libraries that are open.
void open_stand_in_driver() {
  const std::string path = folder_of_this_library() + "/lockstep/described/libcuda.so.1";
  if (!dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE)) fail(ErrorKind::usage, "plan: --device needs the CUDA plug-in and its stand-in for a driver, which this build lacks: {}", dlerror());
}

}  // namespace

std::vector<std::string> described_device_names() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(shared_folder() + "/devices", ignored))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::unique_ptr<Backend> open_described_device(const DescribedDevice& wanted) {
  const std::string description = description_of(wanted.device);
  if (nvidia_driver_version() == 0) open_stand_in_driver();
  installed_cuda_plug_in().open();
  Value options{Value::Data(Value::Table{})};
  options.set("described", Value::text(description));
  options.set("plans", Value::text(wanted.plans));
  options.set("compile", Value::boolean(wanted.compile));
  return make_plug_in<Backend>(options);
}

}  // namespace lockstep
