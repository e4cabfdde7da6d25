#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/data_options.h"
#include "io/hdf5.h"

namespace lockstep {

/// "file.h5:/train" taken apart; the group is "/" where none is given.
struct DataSource {
  std::string path;
  std::string group;
  std::string written;  ///< as in the run file, for digests
};

/// Takes the sources apart and expands globs, in byte order of the names. `io` error for a file that is not there.
std::vector<DataSource> find_sources(const std::vector<std::string>& sources, const std::string& folder);

/// How a dataset of the file becomes a field: the shape and type of a sample in memory.
struct FieldForm {
  Shape stored;  ///< of one sample in the file
  Shape sample;  ///< of one sample in memory
  Dtype dtype = Dtype::f32;
  bool transpose = false;  ///< [c, h, w] to [h, w, c]
  bool one_hot = false;    ///< [classes] to a label
  bool operator==(const FieldForm&) const = default;
};

/// `content` error where the dataset cannot serve the field, or is not what the run file says that it holds.
FieldForm form_of(const DataField& field, const Hdf5Dataset& dataset);

/// The same for samples of this shape and element type in the file; `where` begins the errors.
FieldForm form_of(const DataField& field, const Shape& stored, StoredType type, const std::string& where);

/// Reads all rows of `dataset` into `out`, converted to `form` and checked.
void read_field(const DataField& field, const FieldForm& form, const Hdf5Dataset& dataset, std::byte* out);

}  // namespace lockstep
