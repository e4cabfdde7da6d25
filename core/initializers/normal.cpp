// w ~ N(0, normal^2): the option is the standard deviation.
#include "core/initializers/random_fill.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

class Normal : public Initializer {
 public:
  explicit Normal(Options& options) : scale_(options.real("normal", {}, {.least = 0.0})) {}
  void fill(std::span<float> values, std::int64_t, std::int64_t, std::uint64_t key) const override { fill_normal(values, scale_, key); }

 private:
  double scale_;
};

const Register<Initializer> registered{{.name = "normal", .summary = "normal numbers of a standard deviation", .make = [](Options& o) {
                                          return std::make_unique<Normal>(o);
                                        }}};

}  // namespace
}  // namespace lockstep
