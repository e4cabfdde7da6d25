// w ~ U(-b, b), b = sqrt(6 / (fan_in + fan_out)). Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
// networks".
#include <cmath>

#include "core/initializers/random_fill.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

class GlorotUniform : public Initializer {
 public:
  explicit GlorotUniform(Options& options) { options.expect_true("glorot_uniform"); }
  void fill(std::span<float> values, std::int64_t fan_in, std::int64_t fan_out, std::uint64_t key) const override {
    fill_uniform(values, std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)), key);
  }
};

const Register<Initializer> registered{{.name = "glorot_uniform",
                                        .summary = "uniform with variance 2 / (fan_in + fan_out)",
                                        .make = [](Options& o) { return std::make_unique<GlorotUniform>(o); }}};

}  // namespace
}  // namespace lockstep
