#include "io/decoder.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/tensor/bfloat16.h"

namespace lockstep {
namespace {

// Long enough that the inner loop is worth its overhead, short enough to stay in the first cache.
constexpr std::size_t kPeriod = 256;

}  // namespace

FieldDecoder::FieldDecoder(const DatasetField& field, const TensorSpec& wanted, std::span<const AugmentStep> steps, std::uint64_t seed)
    : field_(field), wanted_(wanted), steps_(steps) {
  const std::string where = "[data] field \"" + field.options.name + "\"";
  if (wanted.shape != field.sample.shape)
    fail(ErrorKind::run_file, "{}: samples: expected {}, got {} from \"{}\"", where, wanted.shape.text(), field.sample.shape.text(),
         field.options.dataset);
  const bool integers = field.sample.dtype == Dtype::i64;
  if (integers != (wanted.dtype == Dtype::i64) || (!integers && wanted.dtype != Dtype::f32 && wanted.dtype != Dtype::bf16))
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
  if (!scaler.mean.empty()) {
    const std::size_t period = channels * ((kPeriod + channels - 1) / channels);
    for (std::size_t i = 0; i < period; ++i) {
      const std::size_t c = scaler.mean.size() == 1 ? 0 : i % channels;
      mean_.push_back(static_cast<float>(scaler.mean[c]));
      factor_.push_back(static_cast<float>(1.0 / scaler.deviation[c]));
      if (i < channels) fill_[i] = (0.0f - mean_[i]) * factor_[i];
    }
  }
  values_.resize(static_cast<std::size_t>(field.sample.elements()));
  if (!steps_.empty()) scratch_.resize(values_.size());
}

template <class T>
void FieldDecoder::scale(const T* from, float* to) const {
  const std::size_t count = values_.size(), period = mean_.size();
  if (period == 0) {
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
    return;
  }
  const float *mean = mean_.data(), *factor = factor_.data();
  for (std::size_t first = 0; first < count; first += period) {
    const std::size_t length = std::min(period, count - first);
    const T* __restrict x = from + first;
    float* __restrict y = to + first;
    for (std::size_t i = 0; i < length; ++i) y[i] = (static_cast<float>(x[i]) - mean[i]) * factor[i];
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
    scale(reinterpret_cast<const std::uint8_t*>(row), values);
  else
    scale(reinterpret_cast<const float*>(row), values);
  augment(values, epoch, position);
  if (wanted_.dtype == Dtype::bf16) {
    auto* narrow = reinterpret_cast<BFloat16*>(out);
    for (std::size_t i = 0; i < values_.size(); ++i) narrow[i] = to_bfloat16(values[i]);
  }
}

}  // namespace lockstep
