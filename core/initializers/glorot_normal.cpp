// w ~ N(0, 2 / (fan_in + fan_out)). Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
#include <cmath>

#include "core/initializers/random_fill.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

class GlorotNormal : public Initializer {
 public:
  explicit GlorotNormal(Options& options) { options.expect_true("glorot_normal"); }
  void fill(std::span<float> values, std::int64_t fan_in, std::int64_t fan_out, std::uint64_t key) const override {
    fill_normal(values, std::sqrt(2.0 / static_cast<double>(fan_in + fan_out)), key);
  }
};

const Register<Initializer> registered{{.name = "glorot_normal",
                                        .summary = "normal with variance 2 / (fan_in + fan_out)",
                                        .make = [](Options& o) { return std::make_unique<GlorotNormal>(o); }}};

}  // namespace
}  // namespace lockstep
