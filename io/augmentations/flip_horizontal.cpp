// y[i, j, c] = x[i, W-1-j, c] with the given probability. x, y: [H, W, C].

#include <algorithm>

#include "io/augment.h"

namespace lockstep {
namespace {

class FlipHorizontal final : public Augmentation {
 public:
  explicit FlipHorizontal(Options& options) : probability_(read_probability(options, "flip_horizontal")) {}

  void apply(const AugmentImage& image, const AugmentRandom& random) const override {
    if (!happens(random)) return;
    for (std::int64_t i = 0; i < image.height; ++i) {
      float* row = image.values + i * image.width * image.channels;
      for (std::int64_t left = 0, right = image.width - 1; left < right; ++left, --right)
        std::swap_ranges(row + left * image.channels, row + (left + 1) * image.channels, row + right * image.channels);
    }
  }

  bool only_moves() const override { return true; }
  void move(PixelMove& move, std::int32_t, std::int32_t width, const AugmentRandom& random) const override {
    if (happens(random)) move.horizontal.then_flip(width);
  }

 private:
  bool happens(const AugmentRandom& random) const { return Philox::uniform(random.draw().w[0]) < probability_; }

  double probability_;
};

const Register<Augmentation> registered{{.name = "flip_horizontal",
                                         .summary = "mirrors left and right, with a probability (0.5)",
                                         .make = [](Options& options) { return std::make_unique<FlipHorizontal>(options); }}};

}  // namespace
}  // namespace lockstep
