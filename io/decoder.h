#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/augment.h"
#include "io/dataset.h"

namespace lockstep {

/// Turns the stored rows of one field into what the model is given: scaled, augmented, as f32, bf16, f16 or i64. Not
/// shared between threads: it keeps scratch.
class FieldDecoder {
 public:
  /// `wanted` is of one sample. `run_file` error where shape or type do not fit the field, or an augmentation meets
  /// no image. The field and the steps must outlive it.
  FieldDecoder(const DatasetField& field, const TensorSpec& wanted, std::span<const AugmentStep> steps, std::uint64_t seed);

  /// One sample into `out`.
  void decode(std::int64_t sample, std::int64_t epoch, std::int64_t position, std::byte* out);

  /// Whether "input.prepare" gives the same bits from the stored row: it is u8, and all steps only move pixels.
  bool can_stay_stored() const;
  const std::byte* stored_row(std::int64_t sample) const { return field_.row(sample); }
  std::size_t stored_bytes() const { return field_.sample.bytes(); }
  bool moves() const { return !steps_.empty(); }
  PixelMove move(std::int64_t epoch, std::int64_t position) const;
  /// By channel, or one for all; for scaled_pixel.
  std::vector<float> scale() const;
  std::vector<float> offset() const;

 private:
  template <class T>
  void scale_sample(const T* from, float* to) const;
  void augment(float* values, std::int64_t epoch, std::int64_t position);

  const DatasetField& field_;
  TensorSpec wanted_;
  std::span<const AugmentStep> steps_;
  std::vector<std::uint64_t> keys_;      // by step
  std::size_t numbers_ = 0;              // scales: by channel, or one
  std::vector<float> offset_, scale_;    // `numbers_` and on, repeated to fill vectors; empty: as stored
  std::vector<float> fill_;              // by channel
  std::vector<float> values_, scratch_;  // one sample
};

}  // namespace lockstep
