#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/model/lane_tree.h"
#include "core/train/batch_source.h"
#include "io/augment.h"
#include "io/dataset.h"
#include "io/sampler.h"

namespace lockstep {

struct LoaderOptions {
  std::uint64_t seed = 0;          ///< of the augmentations
  std::int64_t global_batch = 0;   ///< most samples of a batch, over all ranks
  std::int64_t lane_rows = 0;      ///< rows of a full lane: Plan::lane_rows()
  LaneSpan lanes;                  ///< this rank's
  std::vector<BatchField> fields;  ///< the model's inputs, in the order of the batch slot; each names a field of the data set
  /// Fields that "input.prepare" can prepare stay as they are stored: BatchSlot::stored.
  bool stored = false;
};

/// Batches out of a data set in memory. One thread of its own prepares the next batch in the second of two slots.
/// What a row holds depends on its position in the epoch alone, so the rows of all ranks together are the batch of one.
/// An error while preparing is thrown by the call of `batch` that asks for that batch.
class Loader final : public BatchSource {
 public:
  /// `dataset` and `steps` must outlive it. Evaluation takes no steps and the order as stored.
  Loader(const Dataset& dataset, Sampler sampler, std::span<const AugmentStep> steps, LoaderOptions options);
  ~Loader() override;
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  std::int64_t samples() const override;
  const std::vector<BatchField>& fields() const override;
  const BatchSlot& batch(const BatchPosition& position, const std::optional<BatchPosition>& next) override;

 private:
  struct Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace lockstep
