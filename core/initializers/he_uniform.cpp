// w ~ U(-b, b), b = sqrt(6 / fan_in). He et al. 2015, "Delving deep into rectifiers": for a layer before a ReLU.
#include <cmath>

#include "core/initializers/random_fill.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

class HeUniform : public Initializer {
 public:
  explicit HeUniform(Options& options) { options.expect_true("he_uniform"); }
  void fill(std::span<float> values, std::int64_t fan_in, std::int64_t, std::uint64_t key) const override {
    fill_uniform(values, std::sqrt(6.0 / static_cast<double>(fan_in)), key);
  }
};

const Register<Initializer> registered{{.name = "he_uniform",
                                        .summary = "uniform with variance 2 / fan_in, for ReLU",
                                        .make = [](Options& o) { return std::make_unique<HeUniform>(o); }}};

}  // namespace
}  // namespace lockstep
