// w ~ N(0, 2 / fan_in), or by fan_out with he_normal = "fan_out". He et al. 2015, "Delving deep into rectifiers": for a layer before a ReLU.
#include <cmath>

#include "core/initializers/random_fill.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

class HeNormal : public Initializer {
 public:
  explicit HeNormal(Options& options) {
    const Value* main = options.take("he_normal");
    if (main && main->is_text())
      by_fan_out_ = options.choice("he_normal", {"fan_in", "fan_out"}) == "fan_out";
    else
      options.expect_true("he_normal");
  }
  void fill(std::span<float> values, std::int64_t fan_in, std::int64_t fan_out, std::uint64_t key) const override {
    fill_normal(values, std::sqrt(2.0 / static_cast<double>(by_fan_out_ ? fan_out : fan_in)), key);
  }

 private:
  bool by_fan_out_ = false;
};

const Register<Initializer> registered{{.name = "he_normal",
                                        .summary = "normal with variance 2 / fan_in (or fan_out), for ReLU",
                                        .make = [](Options& o) { return std::make_unique<HeNormal>(o); }}};

}  // namespace
}  // namespace lockstep
