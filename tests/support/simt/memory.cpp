#include <sys/mman.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "core/base/error.h"
#include "tests/support/simt/runtime_state.h"

namespace lockstep::simt {

namespace {

constexpr std::size_t kArena = std::size_t{64} << 30, kPage = 4096;
/// Guard bytes before and behind a block, all ones as fresh memory is.
constexpr std::size_t kGuard = kPage;

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

struct Block {
  std::size_t bytes = 0;
  int device = 0;
};

/// All devices' memory: one range of addresses, of which blocks are cut, so that one call opens or closes it.
struct Arena {
  std::byte* base = nullptr;
  std::size_t end = 0;  ///< of what was ever used
  std::map<std::byte*, Block> blocks;
  std::multimap<std::size_t, std::byte*> free;  ///< by whole size
  std::map<std::byte*, std::size_t> pinned;
  int open = 0;
  bool closed = false;
  std::mutex mutex;
};
Arena& arena() {
  static auto* const one = new Arena;
  return *one;
}

struct sigaction before_us {};

/// Says what happened; the fault then happens again under the handler that was there before.
void on_fault(int signal, siginfo_t* info, void*) {
  const auto* at = static_cast<std::byte*>(info->si_addr);
  if (at >= arena().base && at < arena().base + arena().end) {
    constexpr char text[] = "simt: host code touched device memory\n";
    [[maybe_unused]] const auto written = write(2, text, sizeof text - 1);
  }
  sigaction(signal, &before_us, nullptr);
}

void protect(Arena& a, bool closed) {
  if (!a.base || a.closed == closed) return;
  mprotect(a.base, a.end, closed ? PROT_NONE : PROT_READ | PROT_WRITE);
  a.closed = closed;
}
/// After every change: closed where nobody works and the machine says so.
void settle(Arena& a) { protect(a, a.open == 0 && machine().guard_device_memory); }

void reserve(Arena& a) {
  if (a.base) return;
  void* const base = mmap(nullptr, kArena, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require(base != MAP_FAILED, "simt: no address range for device memory");
  a.base = static_cast<std::byte*>(base);
  a.closed = true;
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &before_us);
}

std::size_t span_of(std::size_t bytes) { return whole_pages(bytes) + 2 * kGuard; }

std::size_t used(const Arena& a, int device) {
  std::size_t bytes = 0;
  for (const auto& [at, block] : a.blocks)
    if (device < 0 || block.device == device) bytes += block.bytes;
  return bytes;
}

std::string damage_of(const std::byte* at, const Block& block) {
  const std::byte* const first = at - kGuard;
  const std::byte* const last = at + whole_pages(block.bytes) + kGuard;
  const auto hurt = [](std::byte b) { return b != std::byte{0xFF}; };
  for (const std::byte* p = first; p < at; ++p)
    if (hurt(*p)) return fmt::format("byte {} before a block of {} bytes was written", at - p, block.bytes);
  for (const std::byte* p = at + block.bytes; p < last; ++p)
    if (hurt(*p)) return fmt::format("byte {} behind a block of {} bytes was written", p - (at + block.bytes), block.bytes);
  return "";
}

}  // namespace

OpenMemory::OpenMemory() {
  Arena& a = arena();
  const std::lock_guard lock(a.mutex);
  ++a.open;
  settle(a);
}
OpenMemory::~OpenMemory() {
  Arena& a = arena();
  const std::lock_guard lock(a.mutex);
  --a.open;
  settle(a);
}

MemoryKind::Kind kind_of(const void* address) {
  Arena& a = arena();
  const std::lock_guard lock(a.mutex);
  auto* const at = static_cast<std::byte*>(const_cast<void*>(address));
  if (a.base && at >= a.base && at < a.base + a.end) return MemoryKind::device;
  const auto it = a.pinned.upper_bound(at);
  if (it != a.pinned.begin() && at < std::prev(it)->first + std::prev(it)->second) return MemoryKind::pinned;
  return MemoryKind::pageable;
}

std::size_t allocated() {
  Arena& a = arena();
  const std::lock_guard lock(a.mutex);
  return used(a, -1);
}

std::string damage() {
  const OpenMemory open;
  Arena& a = arena();
  const std::lock_guard lock(a.mutex);
  for (const auto& [at, block] : a.blocks)
    if (std::string text = damage_of(at, block); !text.empty()) return text;
  return "";
}

}  // namespace lockstep::simt

using namespace lockstep::simt;

extern "C" {

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  Lock lock(runtime().mutex);
  *memory = nullptr;
  if (const cudaError_t error = enter("cudaMalloc", lock); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  if (bytes == 0) return leave(cudaSuccess);
  const OpenMemory open;
  Arena& a = arena();
  const std::lock_guard inner(a.mutex);
  if (bytes > machine().memory || used(a, current_device()) + bytes > machine().memory) return leave(cudaErrorMemoryAllocation);
  reserve(a);
  const std::size_t span = span_of(bytes);
  std::byte* at = nullptr;
  if (const auto it = a.free.find(span); it != a.free.end()) {
    at = it->second;
    a.free.erase(it);
  } else {
    if (a.end + span > kArena) return leave(cudaErrorMemoryAllocation);
    at = a.base + a.end;
    a.end += span;
  }
  mprotect(a.base, a.end, PROT_READ | PROT_WRITE);
  a.closed = false;
  std::memset(at, 0xFF, span);
  a.blocks[at + kGuard] = {bytes, current_device()};
  *memory = at + kGuard;
  return leave(cudaSuccess);
}

cudaError_t cudaFree(void* memory) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaFree", lock); error != cudaSuccess && error != runtime().sticky) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  if (!memory) return leave(cudaSuccess);
  // The real one waits for the device as well.
  const std::set<FakeStream*> all = runtime().streams;
  for (FakeStream* stream : all)
    if (runtime().sticky == cudaSuccess && runtime().streams.contains(stream) && stream->owner == std::this_thread::get_id() && !stream->capture)
      synchronize(lock, *stream);
  std::string text;
  {
    const OpenMemory open;
    Arena& a = arena();
    const std::lock_guard inner(a.mutex);
    const auto it = a.blocks.find(static_cast<std::byte*>(memory));
    if (it == a.blocks.end()) return leave(cudaErrorInvalidValue);
    text = damage_of(it->first, it->second);
    const std::size_t span = span_of(it->second.bytes);
    madvise(it->first - kGuard, span, MADV_DONTNEED);
    a.free.emplace(span, it->first - kGuard);
    a.blocks.erase(it);
  }
  if (!text.empty()) {
    stick(text);
    return leave(runtime().sticky);
  }
  return leave(cudaSuccess);
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  Lock lock(runtime().mutex);
  *memory = nullptr;
  if (const cudaError_t error = enter("cudaHostAlloc", lock); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  Arena& a = arena();
  const std::lock_guard inner(a.mutex);
  *memory = std::aligned_alloc(kPage, whole_pages(bytes ? bytes : 1));
  std::memset(*memory, 0xFF, whole_pages(bytes ? bytes : 1));
  a.pinned[static_cast<std::byte*>(*memory)] = bytes ? bytes : 1;
  return leave(cudaSuccess);
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) { return cudaHostAlloc(memory, bytes, 0); }

cudaError_t cudaFreeHost(void* memory) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaFreeHost", lock); error != cudaSuccess && error != runtime().sticky) return leave(error);
  if (const cudaError_t error = forbid_in_capture(lock); error != cudaSuccess) return leave(error);
  if (!memory) return leave(cudaSuccess);
  const std::set<FakeStream*> all = runtime().streams;
  for (FakeStream* stream : all)
    if (runtime().sticky == cudaSuccess && runtime().streams.contains(stream) && stream->owner == std::this_thread::get_id() && !stream->capture)
      synchronize(lock, *stream);
  Arena& a = arena();
  const std::lock_guard inner(a.mutex);
  if (!a.pinned.erase(static_cast<std::byte*>(memory))) return leave(cudaErrorInvalidValue);
  std::free(memory);
  return leave(cudaSuccess);
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  Lock lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaMemGetInfo", lock); error != cudaSuccess) return leave(error);
  Arena& a = arena();
  const std::lock_guard inner(a.mutex);
  *total = machine().memory;
  *free = machine().memory - std::min(machine().memory, used(a, current_device()));
  return leave(cudaSuccess);
}

}  // extern "C"
