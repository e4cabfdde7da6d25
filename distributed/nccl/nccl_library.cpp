#include "distributed/nccl/nccl_library.h"

#include <dlfcn.h>

#include "core/base/error.h"

namespace lockstep {
namespace {

constexpr int kOldest = NCCL_VERSION(2, 18, 1);

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

NcclLibrary open_nccl_library(const std::vector<std::string>& candidates) {
  std::string why;
  for (const std::string& candidate : candidates) {
    if (void* library = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return bind_all(library, candidate);
    const char* text = dlerror();
    why += (why.empty() ? "" : "; ") + std::string(text ? text : candidate);
  }
  fail(ErrorKind::usage, "nccl: libnccl.so.2 is not found: {}; set LOCKSTEP_NCCL to the path of libnccl.so.2",
       why.empty() ? "it is in none of the folders" : why);
}

}  // namespace lockstep
