#include "core/base/error.h"
#include "launch/bench/step_bench.h"

namespace lockstep {
namespace {

Dataset load_for_shapes(const DataOptions& options) {
  try {
    return Dataset::load(options, options.train);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) throw;
    throw Error(error.kind(), std::string(error.what()) + "; with data.input.shape declared no file is needed");
  }
}

/// The fields as the data file has them, declared.
DataOptions declare(const DataOptions& options) {
  DataOptions declared = options;
  const Dataset data = load_for_shapes(options);
  for (std::size_t i = 0; i < declared.fields.size(); ++i) {
    DataField& field = declared.fields[i];
    const TensorSpec& sample = data.fields()[i].sample;
    field.shape = sample.shape;
    field.type = sample.dtype == Dtype::u8 ? StoredType::u8 : sample.dtype == Dtype::i64 ? StoredType::i64 : StoredType::f32;
    if (field.layout == DataLayout::nchw) field.layout = DataLayout::nhwc;  // turned already
  }
  return declared;
}

}  // namespace

RunData noise_data(const RunConfig& config, std::int64_t batches) {
  const std::int64_t samples = batches * config.data.global_batch;
  const auto seed = static_cast<std::uint64_t>(config.run.seed);
  auto data = Dataset::noise(config.data, samples, seed);
  if (!data) data = Dataset::noise(declare(config.data), samples, seed);
  require(data.has_value(), "bench step: fields without a shape");
  return {.train = std::move(*data), .validation = {}, .augmentations = make_augmentations(config.data.augment)};
}

}  // namespace lockstep
