// w ~ N(0, 2 / fan_in). He et al. 2015, "Delving deep into rectifiers": for a layer before a ReLU.
#include <cmath>

#include "core/initializers/random_fill.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

class HeNormal : public Initializer {
 public:
  explicit HeNormal(Options& options) { options.expect_true("he_normal"); }
  void fill(std::span<float> values, std::int64_t fan_in, std::int64_t, std::uint64_t key) const override {
    fill_normal(values, std::sqrt(2.0 / static_cast<double>(fan_in)), key);
  }
};

const Register<Initializer> registered{{.name = "he_normal",
                                        .summary = "normal with variance 2 / fan_in, for ReLU",
                                        .make = [](Options& o) { return std::make_unique<HeNormal>(o); }}};

}  // namespace
}  // namespace lockstep
