#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/tensor/shape.h"
#include "io/hdf5.h"

namespace lockstep::hdf5 {

/// Once a process: no plug-in loading. Once a thread: no automatic printing of errors. Called by every entry point.
void prepare();

/// The library's error stack of this thread as one line, cleared.
std::string take_error_text();

/// Passes a result >= 0 on. A negative one is thrown with the library's own text: kind `io` where it names an errno.
std::int64_t check(std::int64_t result, ErrorKind kind, const std::string& where, std::string_view what);

/// Properties of a new file or group, without time stamps: the same content gives the same bytes.
Hdf5Handle new_file_properties(const std::string& where);
Hdf5Handle new_group_properties(const std::string& where);

/// The memory type for a Dtype, and the file type for a StoredType.
Hdf5Handle memory_type(Dtype dtype);
Hdf5Handle file_type(StoredType type);

/// The one gate for everything read from a file: walks `path` from `start` one component at a time, hard links only,
/// and opens the group or dataset at its end.
Hdf5Handle open_path(std::int64_t start, const std::string& file, const std::string& start_path, std::string_view path, Hdf5Kind wanted);

/// The rules for a dataset: type from the fixed list, rank, extents, layout, filters, chunk size, declared against
/// stored size. Fills what it learned.
struct DatasetFacts {
  Shape shape;
  StoredType type = StoredType::f32;
  Hdf5Storage storage;
  std::uint64_t stored_bytes = 0;
};
DatasetFacts check_dataset(std::int64_t dataset, const std::string& where);

/// `file: path` for messages.
std::string where_of(std::string_view file, std::string_view path);

}  // namespace lockstep::hdf5
