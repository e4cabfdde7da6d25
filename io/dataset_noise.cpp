#include "core/base/hash.h"
#include "core/base/philox.h"
#include "io/data_source.h"
#include "io/dataset.h"
#include "io/scaling.h"

namespace lockstep {
namespace {

std::optional<FieldForm> declared_form(const DataField& field) {
  const bool label = field.target && field.classes > 0;
  if (!field.shape && !label) return {};
  const StoredType type = field.type.value_or(field.classes > 0 ? StoredType::i64 : StoredType::f32);
  return form_of(field, field.shape.value_or(Shape{}), type, "[data] field \"" + field.name + "\"");
}

/// Bytes and labels are uniform, floats uniform in [0, 1).
void fill(DatasetField& field, std::uint64_t key) {
  const std::int64_t count = field.values.spec().elements();
  for (std::int64_t i = 0; i < count; i += 4) {
    const Philox::Words random = Philox::draw(static_cast<std::uint64_t>(i), 0, key);
    for (std::int64_t j = i; j < std::min(i + 4, count); ++j) {
      const std::uint32_t word = random.w[j - i];
      if (field.sample.dtype == Dtype::u8)
        field.values.as<std::uint8_t>()[j] = static_cast<std::uint8_t>(word);
      else if (field.sample.dtype == Dtype::i64)
        field.values.as<std::int64_t>()[j] = static_cast<std::int64_t>(word % static_cast<std::uint64_t>(field.options.classes));
      else
        field.values.as<float>()[j] = Philox::uniform(word);
    }
  }
}

}  // namespace

std::optional<Dataset> Dataset::noise(const DataOptions& options, std::int64_t samples, std::uint64_t seed) {
  Dataset result;
  result.samples_ = samples;
  for (const DataField& declared : options.fields) {
    const auto form = declared_form(declared);
    if (!form) return {};
    DatasetField field{.options = declared, .sample = {form->sample, form->dtype}};
    if (samples > 0) {
      field.values = Tensor({form->sample.with_leading(samples), form->dtype});
      fill(field, random_key(seed, RandomPurpose::test, hash_text(declared.name)));
    }
    const auto fixed = fixed_scaler(field);
    if (fixed)
      field.scaler = *fixed;
    else if (samples > 0)
      field.scaler = measure(field);
    result.fields_.push_back(std::move(field));
  }
  return result;
}

}  // namespace lockstep
