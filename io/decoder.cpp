#include "io/decoder.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/backend/pixel_move.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep {
namespace {

// Long enough that the inner loop is worth its overhead, short enough to stay in the first cache.
constexpr std::size_t kPeriod = 256;

template <class T>
void round(const std::vector<float>& values, T* out) {
  for (std::size_t i = 0; i < values.size(); ++i) store(out[i], values[i]);
}

}  // namespace

FieldDecoder::FieldDecoder(const DatasetField& field, const TensorSpec& wanted, std::span<const AugmentStep> steps, std::uint64_t seed)
    : field_(field), wanted_(wanted), steps_(steps) {
  const std::string where = "[data] field \"" + field.options.name + "\"";
  if (wanted.shape != field.sample.shape)
    fail(ErrorKind::run_file, "{}: samples: expected {}, got {} from \"{}\"", where, wanted.shape.text(), field.sample.shape.text(),
         field.options.dataset);
  const bool integers = field.sample.dtype == Dtype::i64;
  if (integers ? wanted.dtype != Dtype::i64 : !is_activation(wanted.dtype))
    fail(ErrorKind::run_file, "{}: samples: expected {}, got {}", where, name_of(wanted.dtype),
         integers ? "integers (\"classes\" is given)" : "floats");
  if (field.options.target || integers) steps_ = {};
  if (!steps_.empty() && field.sample.shape.rank() != 3)
    fail(ErrorKind::run_file, "{}: augmentation \"{}\": expected images [height, width, channels], got {}", where, steps_.front().name,
         field.sample.shape.text());
  for (const AugmentStep& step : steps_) keys_.push_back(random_key(seed, RandomPurpose::augment, hash_text(step.name)));
  if (integers) return;

  const auto channels = static_cast<std::size_t>(std::max<std::int64_t>(1, field.channels()));
  const Scaler& scaler = field.scaler;
  require(scaler.mean.size() <= 1 || scaler.mean.size() == channels, "{}: {} means for {} channels", where, scaler.mean.size(), channels);
  fill_.assign(channels, 0.0f);
  numbers_ = scaler.mean.size();
  if (!scaler.mean.empty()) {
    const std::size_t period = channels * ((kPeriod + channels - 1) / channels);
    for (std::size_t i = 0; i < period; ++i) {
      const std::size_t c = scaler.mean.size() == 1 ? 0 : i % channels;
      offset_.push_back(-static_cast<float>(scaler.mean[c]));
      scale_.push_back(static_cast<float>(1.0 / scaler.deviation[c]));
      if (i < channels) fill_[i] = scaled_pixel(0.0f, scale_[i], offset_[i]);
    }
  }
  values_.resize(static_cast<std::size_t>(field.sample.elements()));
  if (!steps_.empty()) scratch_.resize(values_.size());
}

template <class T>
void FieldDecoder::scale_sample(const T* from, float* to) const {
  const std::size_t count = values_.size(), period = scale_.size();
  if (period == 0) {
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
    return;
  }
  const float *offset = offset_.data(), *scale = scale_.data();
  for (std::size_t first = 0; first < count; first += period) {
    const std::size_t length = std::min(period, count - first);
    const T* __restrict x = from + first;
    float* __restrict y = to + first;
    for (std::size_t i = 0; i < length; ++i) y[i] = scaled_pixel(static_cast<float>(x[i]), scale[i], offset[i]);
  }
}

void FieldDecoder::augment(float* values, std::int64_t epoch, std::int64_t position) {
  const Shape& shape = field_.sample.shape;
  for (std::size_t i = 0; i < steps_.size(); ++i)
    steps_[i].augmentation->apply({values, shape[0], shape[1], shape[2], fill_, scratch_.data()}, {keys_[i], epoch, position});
}

void FieldDecoder::decode(std::int64_t sample, std::int64_t epoch, std::int64_t position, std::byte* out) {
  const std::byte* row = field_.row(sample);
  if (wanted_.dtype == Dtype::i64) {
    std::memcpy(out, row, wanted_.bytes());
    return;
  }
  float* values = wanted_.dtype == Dtype::f32 ? reinterpret_cast<float*>(out) : values_.data();
  if (field_.sample.dtype == Dtype::u8)
    scale_sample(reinterpret_cast<const std::uint8_t*>(row), values);
  else
    scale_sample(reinterpret_cast<const float*>(row), values);
  augment(values, epoch, position);
  if (wanted_.dtype == Dtype::bf16) round(values_, reinterpret_cast<BFloat16*>(out));
  if (wanted_.dtype == Dtype::f16) round(values_, reinterpret_cast<Float16*>(out));
}

bool FieldDecoder::can_stay_stored() const {
  return field_.sample.dtype == Dtype::u8 && wanted_.dtype != Dtype::i64 &&
         std::all_of(steps_.begin(), steps_.end(), [](const AugmentStep& step) { return step.augmentation->only_moves(); });
}

PixelMove FieldDecoder::move(std::int64_t epoch, std::int64_t position) const {
  PixelMove result;
  if (steps_.empty()) return result;
  const auto height = static_cast<std::int32_t>(field_.sample.shape[0]), width = static_cast<std::int32_t>(field_.sample.shape[1]);
  for (std::size_t i = 0; i < steps_.size(); ++i) steps_[i].augmentation->move(result, height, width, {keys_[i], epoch, position});
  return result;
}

std::vector<float> FieldDecoder::scale() const {
  if (scale_.empty()) return {1.0f};
  return {scale_.begin(), scale_.begin() + static_cast<std::ptrdiff_t>(numbers_)};
}

std::vector<float> FieldDecoder::offset() const {
  if (offset_.empty()) return {0.0f};
  return {offset_.begin(), offset_.begin() + static_cast<std::ptrdiff_t>(numbers_)};
}

}  // namespace lockstep
