#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend/pixel_move.h"
#include "core/base/philox.h"
#include "core/base/registry.h"
#include "core/tensor/shape.h"

namespace lockstep {

/// The random numbers of one augmentation for one sample: a function of seed, augmentation, epoch and the sample's
/// position in the epoch, never of rank or thread. All inputs of a sample draw the same, so they move together.
struct AugmentRandom {
  std::uint64_t key = 0;
  std::int64_t epoch = 0, position = 0;

  /// Four words; draws with different `number` (below 256) are independent.
  Philox::Words draw(std::uint32_t number = 0) const {
    return Philox::draw(static_cast<std::uint64_t>(position), static_cast<std::uint64_t>(epoch) << 8 | number, key);
  }
};

/// One image, in place, after scaling: [height, width, channels] f32.
struct AugmentImage {
  float* values = nullptr;
  std::int64_t height = 0, width = 0, channels = 0;
  std::span<const float> fill;  ///< by channel: what a stored 0 (black) is after scaling, for pixels from outside
  float* scratch = nullptr;     ///< as large as the image, contents undefined
};

/// A random change of a training image. `apply` is const and called from the loader's thread.
class Augmentation {
 public:
  static constexpr std::string_view kPlugInKind = "augmentation";

  virtual ~Augmentation() = default;
  virtual void apply(const AugmentImage& image, const AugmentRandom& random) const = 0;

  /// Whether all it does is to move pixels, so that `move` tells it and a device can do it.
  virtual bool only_moves() const { return false; }
  /// Adds to `move` what `apply` does to an image of [height, width], after what is there. Only where it only moves.
  virtual void move(PixelMove& move, std::int32_t height, std::int32_t width, const AugmentRandom& random) const {
    (void)move, (void)height, (void)width, (void)random;
  }
};

/// An augmentation and the key of its random stream, from its name ("shift", a second one "shift.2").
struct AugmentStep {
  std::unique_ptr<Augmentation> augmentation;
  std::string name;
};

/// Makes the list of the run file.
std::vector<AugmentStep> make_augmentations(std::span<const Value> list);

/// The probability of an augmentation that happens or not: `"flip_horizontal"` is 0.5, `{ flip_horizontal = 0.3 }` 0.3.
double read_probability(Options& options, std::string_view name);

}  // namespace lockstep
