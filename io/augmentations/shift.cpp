// y[i, j, c] = x[i - dy, j - dx, c], and black where that lies outside: a stored 0 after scaling, as padding the raw
// image before a random crop gives. dx and dy uniform in -pixels..pixels. x, y: [H, W, C].

#include <algorithm>

#include "io/augment.h"

namespace lockstep {
namespace {

class Shift final : public Augmentation {
 public:
  explicit Shift(Options& options) : pixels_(options.integer("shift", {}, {.least = 1, .most = 4096})) {}

  void apply(const AugmentImage& image, const AugmentRandom& random) const override {
    const auto [dy, dx] = distance(random);
    const std::int64_t channels = image.channels, row = image.width * channels;
    std::copy_n(image.values, image.height * row, image.scratch);
    const std::int64_t first = std::clamp<std::int64_t>(dx, 0, image.width),
                       last = std::clamp<std::int64_t>(image.width + dx, 0, image.width);
    for (std::int64_t i = 0; i < image.height; ++i) {
      float* to = image.values + i * row;
      const bool inside = i - dy >= 0 && i - dy < image.height && first < last;
      blacken(to, 0, inside ? first : image.width, image);
      if (!inside) continue;
      std::copy_n(image.scratch + (i - dy) * row + (first - dx) * channels, (last - first) * channels, to + first * channels);
      blacken(to, last, image.width, image);
    }
  }

  bool only_moves() const override { return true; }
  void move(PixelMove& move, std::int32_t height, std::int32_t width, const AugmentRandom& random) const override {
    const auto [dy, dx] = distance(random);
    move.vertical.then_shift(static_cast<std::int32_t>(dy), height);
    move.horizontal.then_shift(static_cast<std::int32_t>(dx), width);
  }

 private:
  struct Distance {
    std::int64_t dy, dx;
  };
  Distance distance(const AugmentRandom& random) const {
    const Philox::Words words = random.draw();
    return {offset(words.w[0]), offset(words.w[1])};
  }
  std::int64_t offset(std::uint32_t word) const {
    const auto choices = static_cast<std::uint64_t>(2 * pixels_ + 1);
    return static_cast<std::int64_t>(word * choices >> 32) - pixels_;
  }
  static void blacken(float* row, std::int64_t first, std::int64_t last, const AugmentImage& image) {
    for (std::int64_t j = first; j < last; ++j) std::copy(image.fill.begin(), image.fill.end(), row + j * image.channels);
  }

  std::int64_t pixels_;
};

const Register<Augmentation> registered{{.name = "shift",
                                         .summary = "moves by up to so many pixels each way; black comes in",
                                         .make = [](Options& options) { return std::make_unique<Shift>(options); }}};

}  // namespace
}  // namespace lockstep
