#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/registry.h"
#include "core/tensor/tensor.h"

namespace lockstep {

/// A labelled set as a converter reads it; it becomes a group of the file.
struct ConvertedSplit {
  std::string group;  ///< "train", "test"
  Tensor images;      ///< [n, height, width, channels], or [n, features]
  Tensor labels;      ///< [n] i64
};

struct ConvertedSet {
  std::vector<ConvertedSplit> splits;    ///< the first one is the training set
  std::vector<std::string> class_names;  ///< empty, or one a class
};

/// Reads a foreign format.
class Converter {
 public:
  static constexpr std::string_view kPlugInKind = "converter";

  virtual ~Converter() = default;
  /// The files it wants, for help: {"IMAGES", "LABELS"}.
  virtual std::vector<std::string> inputs() const = 0;
  /// `files` as many as `inputs()`. `content` errors for what is not of the format, `io` for what is not there.
  virtual ConvertedSet read(const std::vector<std::string>& files) const = 0;
};

/// What was written, for the command to print.
struct ConvertReport {
  struct Dataset {
    std::string path;  ///< "/train/images"
    TensorSpec spec;
  };
  std::string path;
  std::uint64_t bytes = 0;
  std::int64_t classes = 0;
  std::vector<Dataset> datasets;
};

/// Converts with the named converter into a new HDF5 file, whole and durable or not at all. Each split is a group with
/// `images` and `labels`; `images` carries `mean` and `std` by channel of the *first* split in units of the stored
/// numbers, both carry `xxh3_128`; each group carries `classes` and, where known, `class_names`. Root: `format`.
/// `options` are the converter's own. `usage` errors for a wrong number of files and for an output that exists.
ConvertReport convert_file(std::string_view converter, const std::vector<std::string>& files, const std::string& output,
                           const Value& options = {});

}  // namespace lockstep
