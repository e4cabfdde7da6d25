#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/tensor.h"
#include "io/file_calls.h"

namespace lockstep {

/// Replaces `path` by the parts, one after another, or leaves it exactly as it was: a temporary file in the same
/// directory, written, read back and compared, shown to `verify` (which may throw), fsynced, renamed, and the
/// directory fsynced. When this returns the file survives a power cut. Errors are `io` with the system's text; the
/// temporary is then removed. Any thread; of two writers of one path, the last to rename wins.
void commit_file(const std::string& path, std::span<const std::span<const std::byte>> parts,
                 const std::function<void(const std::string& temporary)>& verify = {}, const FileCalls& calls = FileCalls::system());

/// The same for a small text.
void commit_text(const std::string& path, std::string_view text, const FileCalls& calls = FileCalls::system());

/// A whole file in memory. `io` error where the system says no, `content` error above `most_bytes`.
HostBuffer read_file(const std::string& path, std::size_t most_bytes, const FileCalls& calls = FileCalls::system());
std::string read_text(const std::string& path, std::size_t most_bytes, const FileCalls& calls = FileCalls::system());

/// Removes the temporaries that writers which no longer run left in a directory, and says which. A live writer holds
/// a lock on its own, so it is spared; where the file system knows no locks nothing is removed.
std::vector<std::string> remove_leftovers(const std::string& directory, const FileCalls& calls = FileCalls::system());

}  // namespace lockstep
