#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/pixel_move.h"
#include "core/tensor/tensor.h"

namespace lockstep {

/// Which samples a step takes: positions [first, first + samples) of an epoch's order. Batches never cross epochs.
struct BatchPosition {
  std::int64_t epoch = 0;
  std::int64_t first = 0;
  std::int64_t samples = 0;
  bool operator==(const BatchPosition&) const = default;
};

/// A field as it is stored, for a device that prepares its input itself by "input.prepare": a quarter of the bytes travel, and
/// no host thread scales pixels. y = (x + offset[c]) * scale[c], after the move: scaled_pixel.
struct StoredRows {
  ConstTensorView rows;                ///< u8 [capacity, ...], channels last
  const PixelMove* moves = nullptr;    ///< one a row; null where nothing moves
  std::vector<float> scale, offset;    ///< by channel, or one for all
};

/// This rank's rows of a batch: the batch positions [first_row, first_row + rows).
struct BatchSlot {
  BatchPosition position;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::vector<ConstTensorView> inputs;  ///< one per field, [capacity, ...]; the first `rows` rows are set
  /// By field where the source was asked for stored rows (empty otherwise); a field whose `rows.data` is null is in `inputs`.
  std::vector<StoredRows> stored;
};

/// One named input of the model, as a source delivers it (one sample).
struct BatchField {
  std::string name;  ///< the graph input it feeds: "input", "target"
  TensorSpec spec;
};

/// Where batches come from. The source owns the slots; a slot stays valid until the next call of `batch`.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Samples of one epoch.
  virtual std::int64_t samples() const = 0;
  virtual const std::vector<BatchField>& fields() const = 0;
  /// This rank's rows of the batch at `position`. `next` is what will be asked for next, so that it can be prepared
  /// meanwhile. `content` error naming file, dataset and sample for bad data.
  virtual const BatchSlot& batch(const BatchPosition& position, const std::optional<BatchPosition>& next) = 0;
};

}  // namespace lockstep
