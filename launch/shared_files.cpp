#include "launch/shared_files.h"

#include <filesystem>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "launch/nvidia_libraries.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// Paths by name.
std::map<std::string, std::string> recipes() {
  std::map<std::string, std::string> result;
  std::error_code ignored;
  for (const auto& folder : fs::directory_iterator(fs::path(shared_folder()) / "examples", ignored)) {
    for (const auto& file : fs::directory_iterator(folder.path(), ignored)) {
      if (file.path().extension() != ".toml") continue;
      const std::string stem = file.path().stem().string();
      result[stem == "run" ? folder.path().filename().string() : stem] = file.path().string();
    }
  }
  return result;
}

}  // namespace

std::string shared_folder() { return (fs::path(folder_of_this_library()) / ".." / "share" / "lockstep").lexically_normal().string(); }

std::vector<std::string> recipe_names() {
  std::vector<std::string> result;
  for (const auto& [name, path] : recipes()) result.push_back(name);
  return result;
}

std::string find_recipe(const std::string& name_or_path) {
  std::error_code ignored;
  if ((fs::exists(name_or_path, ignored) && !fs::is_directory(name_or_path, ignored)) || name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml")) return name_or_path;
  const auto known = recipes();
  if (const auto found = known.find(name_or_path); found != known.end()) return found->second;
  fail(ErrorKind::usage, "\"{}\": neither a run file nor a shipped recipe{}", name_or_path, hint(name_or_path, recipe_names()));
}

}  // namespace lockstep
