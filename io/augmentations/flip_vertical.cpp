// y[i, j, c] = x[H-1-i, j, c] with the given probability. x, y: [H, W, C].

#include <algorithm>

#include "io/augment.h"

namespace lockstep {
namespace {

class FlipVertical final : public Augmentation {
 public:
  explicit FlipVertical(Options& options) : probability_(read_probability(options, "flip_vertical")) {}

  void apply(const AugmentImage& image, const AugmentRandom& random) const override {
    if (!happens(random)) return;
    const std::int64_t row = image.width * image.channels;
    for (std::int64_t top = 0, bottom = image.height - 1; top < bottom; ++top, --bottom)
      std::swap_ranges(image.values + top * row, image.values + (top + 1) * row, image.values + bottom * row);
  }

  bool only_moves() const override { return true; }
  void move(PixelMove& move, std::int32_t height, std::int32_t, const AugmentRandom& random) const override {
    if (happens(random)) move.vertical.then_flip(height);
  }

 private:
  bool happens(const AugmentRandom& random) const { return Philox::uniform(random.draw().w[0]) < probability_; }

  double probability_;
};

const Register<Augmentation> registered{{.name = "flip_vertical",
                                         .summary = "mirrors top and bottom, with a probability (0.5)",
                                         .make = [](Options& options) { return std::make_unique<FlipVertical>(options); }}};

}  // namespace
}  // namespace lockstep
