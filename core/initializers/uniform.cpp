// w ~ U(-uniform, uniform): the option is the bound.
#include "core/initializers/random_fill.h"
#include "core/model/initializer.h"

namespace lockstep {
namespace {

class Uniform : public Initializer {
 public:
  explicit Uniform(Options& options) : scale_(options.real("uniform", {}, {.least = 0.0})) {}
  void fill(std::span<float> values, std::int64_t, std::int64_t, std::uint64_t key) const override { fill_uniform(values, scale_, key); }

 private:
  double scale_;
};

const Register<Initializer> registered{
    {.name = "uniform", .summary = "uniform numbers within a bound", .make = [](Options& o) { return std::make_unique<Uniform>(o); }}};

}  // namespace
}  // namespace lockstep
