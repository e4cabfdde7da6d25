#include "io/scaling.h"

#include <array>
#include <cmath>

#include "core/base/error.h"

namespace lockstep {
namespace {

Scaler finish(const std::vector<double>& mean, const std::vector<double>& squares, std::int64_t count) {
  Scaler result{.mean = mean};
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const double variance = count ? squares[c] / static_cast<double>(count) : 0.0;
    // As scikit-learn's StandardScaler: a variance within rounding of nothing is a constant.
    const double rounding = 2.2e-16 * static_cast<double>(count) * (variance + std::pow(mean[c], 2) * 2.2e-16 * static_cast<double>(count));
    result.deviation.push_back(variance > rounding ? std::sqrt(variance) : 1.0);
  }
  return result;
}

/// Sums of u8 are exact in 64 bits, and so is a histogram.
Scaler measure_bytes(const std::uint8_t* values, std::int64_t pixels, std::int64_t channels) {
  std::vector<std::array<std::int64_t, 256>> counts(static_cast<std::size_t>(channels));
  for (std::int64_t p = 0; p < pixels; ++p)
    for (std::int64_t c = 0; c < channels; ++c) ++counts[static_cast<std::size_t>(c)][values[p * channels + c]];
  std::vector<double> mean, squares;
  for (const auto& histogram : counts) {
    std::int64_t sum = 0;
    for (std::size_t value = 0; value < 256; ++value) sum += histogram[value] * static_cast<std::int64_t>(value);
    mean.push_back(pixels ? static_cast<double>(sum) / static_cast<double>(pixels) : 0.0);
    double square = 0;
    for (std::size_t value = 0; value < 256; ++value)
      square += static_cast<double>(histogram[value]) * std::pow(static_cast<double>(value) - mean.back(), 2);
    squares.push_back(square);
  }
  return finish(mean, squares, pixels);
}

Scaler measure_floats(const float* values, std::int64_t pixels, std::int64_t channels) {
  std::vector<double> mean(static_cast<std::size_t>(channels)), squares(static_cast<std::size_t>(channels));
  for (std::int64_t p = 0; p < pixels; ++p)
    for (std::int64_t c = 0; c < channels; ++c) mean[static_cast<std::size_t>(c)] += values[p * channels + c];
  for (double& m : mean) m = pixels ? m / static_cast<double>(pixels) : 0.0;
  for (std::int64_t p = 0; p < pixels; ++p)
    for (std::int64_t c = 0; c < channels; ++c) {
      const double d = values[p * channels + c] - mean[static_cast<std::size_t>(c)];
      squares[static_cast<std::size_t>(c)] += d * d;
    }
  return finish(mean, squares, pixels);
}

}  // namespace

Scaler measure(const DatasetField& field) {
  const std::int64_t channels = std::max<std::int64_t>(1, field.channels()), pixels = field.values.spec().elements() / channels;
  require(field.sample.dtype != Dtype::i64, "labels are not scaled");
  if (field.sample.dtype == Dtype::u8) return measure_bytes(field.values.as<std::uint8_t>(), pixels, channels);
  return measure_floats(field.values.as<float>(), pixels, channels);
}

std::optional<Scaler> fixed_scaler(const DatasetField& field) {
  const DataField& options = field.options;
  if (options.scale == DataScale::standardize) return {};
  if (options.scale == DataScale::none) return Scaler{};
  if (options.scale == DataScale::unit) return Scaler{{0.0}, {255.0}};
  const auto numbers = static_cast<std::int64_t>(options.mean.size());
  if (numbers != 1 && numbers != field.channels())
    fail(ErrorKind::run_file, "[data] field \"{}\": \"scale\": expected one number, or {} (one a channel), got {}", options.name, field.channels(), numbers);
  Scaler scaler{options.mean, options.std};
  if (field.sample.dtype == Dtype::u8)
    for (auto* list : {&scaler.mean, &scaler.deviation})
      for (double& number : *list) number *= 255.0;
  return scaler;
}

std::optional<Scaler> stored_scaler(const Hdf5Group& group, const Hdf5Dataset& dataset, std::int64_t channels) {
  const auto from = [&](const Hdf5Object& object) -> std::optional<Scaler> {
    if (!object.has_attribute("mean") || !object.has_attribute("std")) return {};
    Scaler scaler{object.reals_attribute("mean"), object.reals_attribute("std")};
    const auto fits = [&](const std::vector<double>& list) {
      return list.size() == 1 || static_cast<std::int64_t>(list.size()) == channels;
    };
    if (!fits(scaler.mean) || scaler.deviation.size() != scaler.mean.size())
      fail(ErrorKind::content, "{}: attributes \"mean\" and \"std\": expected {} numbers each, got {} and {}", object.where(), channels,
           scaler.mean.size(), scaler.deviation.size());
    for (std::size_t c = 0; c < scaler.mean.size(); ++c)
      if (!std::isfinite(scaler.mean[c]) || !(scaler.deviation[c] > 0) || !std::isfinite(scaler.deviation[c]))
        fail(ErrorKind::content, "{}: attributes \"mean\" and \"std\": expected a finite mean and a positive deviation, got {} and {}",
             object.where(), scaler.mean[c], scaler.deviation[c]);
    return scaler;
  };
  if (auto scaler = from(dataset)) return scaler;
  return from(group);
}

}  // namespace lockstep
