#include "launch/nvidia_libraries.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "lockstep_version.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> subfolders(const fs::path& folder) {
  std::vector<fs::path> result;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_directory(ignored)) result.push_back(entry.path());
  std::sort(result.begin(), result.end());
  return result;
}

/// The `lib` folders of NVIDIA's packages below a folder of Python versions, such as /usr/lib.
std::vector<fs::path> wheel_folders(const fs::path& library_folder) {
  std::vector<fs::path> result;
  for (const fs::path& python : subfolders(library_folder)) {
    if (!python.filename().string().starts_with("python3")) continue;
    for (const char* packages : {"site-packages", "dist-packages"})
      for (const fs::path& package : subfolders(python / packages / "nvidia")) result.push_back(package / "lib");
  }
  return result;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> result;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, separator);)
    if (!part.empty()) result.push_back(part);
  return result;
}

/// NVRTC asks for its built-in functions by a name with its whole version, and the loader does not look beside it for them.
void open_builtins_beside(const std::string& library) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(library).parent_path(), ignored))
    if (entry.path().filename().string().starts_with("libnvrtc-builtins.so.")) dlopen(entry.path().c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
}

}  // namespace

std::string folder_of_this_library() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&nvidia_driver_version), &info) == 0 || !info.dli_fname) return "";
  return fs::path(info.dli_fname).parent_path().string();
}

int nvidia_driver_version() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  if (!driver) return 0;
  const auto get_version = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDriverGetVersion"));
  int version = 0;
  return get_version && get_version(&version) == 0 ? version : 0;
}

std::vector<std::string> nvidia_library_candidates(const std::string& soname, const std::string& own_folder, const Environment& environment) {
  std::vector<std::string> result;
  const auto add = [&](const fs::path& folder) {
    std::error_code ignored;
    const std::string path = (folder / soname).lexically_normal().string();
    if (fs::exists(path, ignored) && std::find(result.begin(), result.end(), path) == result.end()) result.push_back(path);
  };
  const auto variable = [&](const char* name) {
    const char* value = environment(name);
    return std::string(value ? value : "");
  };
  if (const std::string given = variable("LOCKSTEP_CUDA_LIBRARIES"); !given.empty()) {
    for (const std::string& folder : split(given, ':')) add(folder);
    return result;
  }
  if (!own_folder.empty()) add(own_folder);
  result.push_back(soname);
  std::vector<fs::path> pythons;
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const std::string prefix = variable(name); !prefix.empty()) pythons.push_back(fs::path(prefix) / "lib");
  if (const std::string home = variable("HOME"); !home.empty()) pythons.push_back(fs::path(home) / ".local" / "lib");
  for (const char* system : {"/usr/local/lib", "/usr/lib"}) pythons.emplace_back(system);
  for (const fs::path& python : pythons)
    for (const fs::path& folder : wheel_folders(python)) add(folder);
  for (const std::string& toolkit : {variable("CUDA_HOME"), variable("CUDA_PATH"), std::string("/usr/local/cuda")})
    if (!toolkit.empty()) add(fs::path(toolkit) / "lib64");
  return result;
}

void open_nvidia_libraries(const Environment& environment) {
  const std::string own = folder_of_this_library();
  for (const std::string& soname : split(LOCKSTEP_CUDA_SONAMES, ' '))
    for (const std::string& path : nvidia_library_candidates(soname, own, environment))
      if (dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE)) {
        open_builtins_beside(path);
        break;
      }
}

}  // namespace lockstep
