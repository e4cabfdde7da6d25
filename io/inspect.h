#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor/shape.h"
#include "io/hdf5.h"

namespace lockstep {

struct InspectedAttribute {
  std::string name, value;
};

/// A group or dataset of an HDF5 file, as far as it can be read.
struct InspectedObject {
  std::string path;
  Hdf5Kind kind = Hdf5Kind::group;
  Shape shape;              ///< datasets alone, as all that follows
  std::string type;         ///< "u8"
  std::uint64_t bytes = 0;  ///< of all elements
  std::uint64_t stored_bytes = 0;
  std::string storage;  ///< "contiguous"
  std::string refused;  ///< why it would not be read: a link, a foreign filter, text, ...; else empty
  std::vector<InspectedAttribute> attributes;
};

struct InspectedFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::vector<InspectedObject> objects;  ///< depth first, by name; the root first
};

/// Lists an HDF5 file. `io` and `content` errors as Hdf5File::open, and for more than 10,000 objects or 16 levels.
InspectedFile inspect_file(const std::string& path);

/// What a dataset holds: reads all of it, in pieces.
struct InspectedValues {
  double least = 0, mean = 0, most = 0;
  std::int64_t not_finite = 0;
};
InspectedValues inspect_values(const std::string& path, const std::string& dataset);

}  // namespace lockstep
