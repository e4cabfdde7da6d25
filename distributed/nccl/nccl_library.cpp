#include "distributed/nccl/nccl_library.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSoname = "libnccl.so.2";
constexpr int kOldest = NCCL_VERSION(2, 18, 1);

int note_folder(dl_phdr_info* info, std::size_t, void* folders) {
  const fs::path path = info->dlpi_name ? info->dlpi_name : "";
  const std::string file = path.filename().string();
  if (file.starts_with("libcublas") || file.starts_with("libcudnn"))
    static_cast<std::vector<fs::path>*>(folders)->push_back(fs::path(path).parent_path());
  return 0;
}

template <class Function>
void bind(void* library, const std::string& path, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) fail(ErrorKind::usage, "nccl: \"{}\" has no function \"{}\": expected NCCL 2.18 or newer", path, name);
}

std::string version_text(int version) { return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100); }

NcclLibrary bind_all(void* library, const std::string& path) {
  NcclLibrary nccl{.path = path};
  bind(library, path, "ncclGetVersion", nccl.get_version);
  int version = 0;
  if (nccl.get_version(&version) != ncclSuccess || version < kOldest)
    fail(ErrorKind::usage, "nccl: \"{}\" is version {}: expected 2.18 or newer", path, version_text(version));
  nccl.version = version_text(version);
  bind(library, path, "ncclGetUniqueId", nccl.get_unique_id);
  bind(library, path, "ncclCommInitRankConfig", nccl.init_rank);
  bind(library, path, "ncclCommGetAsyncError", nccl.get_async_error);
  bind(library, path, "ncclCommFinalize", nccl.finalize);
  bind(library, path, "ncclCommDestroy", nccl.destroy);
  bind(library, path, "ncclCommAbort", nccl.abort);
  bind(library, path, "ncclGetErrorString", nccl.error_string);
  bind(library, path, "ncclGetLastError", nccl.last_error);
  bind(library, path, "ncclGroupStart", nccl.group_start);
  bind(library, path, "ncclGroupEnd", nccl.group_end);
  bind(library, path, "ncclSend", nccl.send);
  bind(library, path, "ncclRecv", nccl.receive);
  bind(library, path, "ncclAllGather", nccl.all_gather);
  bind(library, path, "ncclBroadcast", nccl.broadcast);
  bind(library, path, "ncclAllReduce", nccl.all_reduce);
  return nccl;
}

}  // namespace

std::vector<std::string> nccl_candidates(const Environment& environment) {
  if (const char* own = environment("LOCKSTEP_NCCL"); own && *own) return {own};
  std::vector<std::string> result;
  const auto add_file = [&](const fs::path& path) {
    std::error_code ignored;
    const std::string text = path.lexically_normal().string();
    if (fs::exists(path, ignored) && std::find(result.begin(), result.end(), text) == result.end()) result.push_back(text);
  };
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&nccl_candidates), &info) != 0 && info.dli_fname)
    add_file(fs::path(info.dli_fname).parent_path() / kSoname);
  result.push_back(kSoname);
  std::vector<fs::path> folders;
  dl_iterate_phdr(note_folder, &folders);
  for (const fs::path& folder : folders) {
    add_file(folder / kSoname);
    add_file(folder.parent_path().parent_path() / "nccl" / "lib" / kSoname);
  }
  return result;
}

NcclLibrary open_nccl_library(const std::vector<std::string>& candidates) {
  std::string why;
  for (const std::string& candidate : candidates) {
    if (void* library = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return bind_all(library, candidate);
    const char* text = dlerror();
    why += (why.empty() ? "" : "; ") + std::string(text ? text : candidate);
  }
  fail(ErrorKind::usage, "nccl: not found: {}; set LOCKSTEP_NCCL to the path of libnccl.so.2", why);
}

}  // namespace lockstep
