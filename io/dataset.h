#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/tensor.h"
#include "core/train/batch_source.h"
#include "io/data_options.h"

namespace lockstep {

/// Mean and standard deviation per channel, in the units of the stored numbers. Empty where nothing is scaled; one
/// entry serves all channels. `unit` is mean 0, deviation 255.
struct Scaler {
  std::vector<double> mean, deviation;
  bool operator==(const Scaler&) const = default;
};

/// One field of all samples, in memory.
struct DatasetField {
  DataField options;
  TensorSpec sample;  ///< of one sample, as held: u8 or f32 (to be scaled), i64 (classes)
  Tensor values;      ///< [samples, ...]
  Scaler scaler;

  const std::byte* row(std::int64_t sample_index) const {
    return values.as<std::byte>() + static_cast<std::size_t>(sample_index) * sample.bytes();
  }
  std::int64_t channels() const { return sample.shape.rank() ? sample.shape[sample.shape.rank() - 1] : 1; }
};

/// Samples of one or several HDF5 files, held in memory; every rank holds all of them. Immutable once loaded.
class Dataset {
 public:
  /// Reads `sources` ("file.h5:/group"; the file may be a glob) one after another. Labels are checked against their
  /// classes, floats for being finite. `scalers` are the training set's, one a field, for validation and test; without
  /// them a standardized field takes the attributes "mean" and "std" of its dataset or group, where all sources carry
  /// the same, else what its samples give. `content` errors name file, dataset, index and value; `run_file` where
  /// `options.memory_bytes` do not suffice.
  static Dataset load(const DataOptions& options, const std::vector<std::string>& sources, std::span<const Scaler> scalers = {});

  /// As many samples of noise as asked for, of what the run file declares (DataField::shape and type; f32 where no type is given, and
  /// labels for a target of classes): for plans and measurements without a file. With no samples it serves for `batch_fields`.
  /// Nothing where a field's shape is not declared.
  static std::optional<Dataset> noise(const DataOptions& options, std::int64_t samples, std::uint64_t seed = 0);

  std::int64_t samples() const { return samples_; }
  const std::vector<DatasetField>& fields() const { return fields_; }
  const DatasetField& field(std::string_view name) const;
  std::vector<Scaler> scalers() const;
  /// What a model is given: integers as i64, float targets as f32, inputs as `activations`. Targets of one float are
  /// [1], labels are [].
  std::vector<BatchField> batch_fields(Dtype activations) const;
  /// Of names, sizes, shapes and scalers, not of the samples: ranks compare it at the start.
  const std::string& digest() const { return digest_; }

 private:
  std::int64_t samples_ = 0;
  std::vector<DatasetField> fields_;
  std::string digest_;
};

}  // namespace lockstep
