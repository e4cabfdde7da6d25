#include "distributed/plug_in.h"

#include <dlfcn.h>

#include <filesystem>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> candidates(const std::string& file) {
  std::vector<fs::path> folders;
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&open_plug_in), &info) != 0 && info.dli_fname)
    folders.push_back(fs::path(info.dli_fname).parent_path());
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) folders.push_back(program.parent_path().parent_path() / "lib");
  std::vector<std::string> result;
  for (const fs::path& folder : folders) {
    const std::string path = fs::absolute(folder / file, ignored).lexically_normal().string();
    if (result.empty() || result.front() != path) result.push_back(path);
  }
  return result;
}

}  // namespace

void* open_plug_in(const std::string& file, const char* entry, PlugInScope scope) {
  const std::vector<std::string> paths = candidates(file);
  std::string path;
  std::error_code ignored;
  for (const std::string& candidate : paths)
    if (path.empty() && fs::exists(candidate, ignored)) path = candidate;
  if (path.empty()) fail(ErrorKind::usage, "plug-in: \"{}\" is not installed: looked for {}", file, join(paths));
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_NODELETE | (scope == PlugInScope::global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!library) fail(ErrorKind::usage, "plug-in: \"{}\" does not load: {}", path, dlerror());
  const auto build = reinterpret_cast<const char* (*)()>(dlsym(library, "lockstep_plug_in_build"));
  void* function = dlsym(library, entry);
  if (!build || !function)
    fail(ErrorKind::usage, "plug-in: \"{}\" is no lockstep plug-in: expected the functions \"lockstep_plug_in_build\" and \"{}\"", path,
         entry);
  if (std::string(build()) != kPlugInBuild)
    fail(ErrorKind::usage, "plug-in: \"{}\": expected build \"{}\", got \"{}\"; build it again from this version's source", path,
         kPlugInBuild, build());
  return function;
}

}  // namespace lockstep
