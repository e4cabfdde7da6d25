#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "io/hdf5.h"

namespace lockstep {

enum class DataLayout : std::uint8_t {
  plain,  ///< the sample's shape as it stands in the file
  nhwc,   ///< images; [n, h, w] is taken as [n, h, w, 1]
  nchw,   ///< images, turned into NHWC at load
};

enum class DataScale : std::uint8_t {
  none,
  unit,         ///< x / 255
  standardize,  ///< (x - mean) / standard deviation, each channel (last axis) for itself, as found in the training set
  given,        ///< the same with numbers of the run file: { mean = [0.5], std = [0.25] }; bytes count as x / 255
};

/// One dataset of the file and the input of the model that it feeds.
struct DataField {
  std::string name;     ///< "input", "target"
  std::string dataset;  ///< "images", below the group of the source
  DataLayout layout = DataLayout::plain;
  DataScale scale = DataScale::none;
  std::int64_t classes = 0;  ///< > 0: integers in [0, classes); 0: floats
  bool target = false;
  std::optional<Shape> shape = {};          ///< what a sample in the file must be, as it lies there
  std::optional<StoredType> type = {};      ///< what its elements must be
  std::vector<double> mean = {}, std = {};  ///< of DataScale::given: one number for all channels, or one a channel
};

/// The `[data]` table of a run file.
struct DataOptions {
  std::vector<std::string> train, validation, test;  ///< "file.h5:/group", "shards/*.h5:/train"; relative to `folder`
  std::string folder;
  std::vector<DataField> fields;  ///< inputs, then targets
  std::vector<Value> augment;     ///< for make_augmentations
  std::int64_t global_batch = 0;
  bool shuffle = true;            ///< the training set, anew in each epoch
  std::int64_t memory_bytes = 0;  ///< most bytes that one set may take on a rank
};

/// Reads `[data]`: train, validation, test, input or inputs, target or targets, augment, global_batch, shuffle,
/// memory ("8 GiB"). A field has dataset, layout, scale, classes, shape and dtype.
/// `inputs` and `targets` are lists of tables with a `name`. `folder` is that of the run file.
DataOptions read_data_options(const Value& table, const std::string& folder);

/// "8 GiB", "512 MiB" or a plain number of bytes; `run_file` error that begins with `where`.
std::int64_t parse_bytes(const std::string& text, const std::string& where);

}  // namespace lockstep
