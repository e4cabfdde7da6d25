#include "distributed/plug_in.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
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
  for (const fs::path& folder : folders)
    for (const fs::path& inside : {folder / "site" / file, folder / file}) {
      const std::string path = fs::absolute(inside, ignored).lexically_normal().string();
      if (std::find(result.begin(), result.end(), path) == result.end()) result.push_back(path);
    }
  return result;
}

}  // namespace

std::string find_plug_in(const PlugIn& plug_in) {
  std::error_code ignored;
  if (const char* named = plug_in.variable ? std::getenv(plug_in.variable) : nullptr; named && *named) {
    if (!fs::exists(named, ignored)) fail(ErrorKind::usage, "plug-in: {} names \"{}\": there is no such file", plug_in.variable, named);
    return fs::absolute(named, ignored).lexically_normal().string();
  }
  const std::vector<std::string> paths = candidates(plug_in.file);
  for (const std::string& path : paths)
    if (fs::exists(path, ignored)) return path;
  fail(ErrorKind::usage, "plug-in: \"{}\" is not installed: looked for {}", plug_in.file, join(paths));
}

void* open_plug_in(const PlugIn& plug_in, const char* entry) {
  const std::string path = find_plug_in(plug_in);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_NODELETE | (plug_in.scope == PlugInScope::global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!library) fail(ErrorKind::usage, "plug-in: \"{}\" does not load: {}", path, dlerror());
  const auto build = reinterpret_cast<const char* (*)()>(dlsym(library, "lockstep_plug_in_build"));
  void* function = dlsym(library, entry);
  if (!build || !function)
    fail(ErrorKind::usage, "plug-in: \"{}\" is no lockstep plug-in: expected the functions \"lockstep_plug_in_build\" and \"{}\"", path,
         entry);
  if (std::string(build()) != plug_in.build)
    fail(ErrorKind::usage, "plug-in: \"{}\": expected build \"{}\", got \"{}\"; build it again from this version's source", path,
         plug_in.build, build());
  return function;
}

}  // namespace lockstep
