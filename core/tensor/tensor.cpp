#include "core/tensor/tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lockstep {

HostBuffer::HostBuffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= 2 * kHuge ? kHuge : 64;
  const std::size_t padded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, padded);
  if (!memory) fail(ErrorKind::internal, "no memory: {} asked for", format_bytes(bytes));
  if (alignment == kHuge) madvise(memory, padded, MADV_HUGEPAGE);
  std::memset(memory, 0, padded);
  memory_.reset(static_cast<std::byte*>(memory));
}

void HostBuffer::Free::operator()(std::byte* memory) const { std::free(memory); }

}  // namespace lockstep
