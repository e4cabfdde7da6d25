// w = 0.
#include <algorithm>

#include "core/model/initializer.h"

namespace lockstep {
namespace {

class Zeros : public Initializer {
 public:
  explicit Zeros(Options& options) { options.expect_true("zeros"); }
  void fill(std::span<float> values, std::int64_t, std::int64_t, std::uint64_t) const override {
    std::fill(values.begin(), values.end(), 0.0f);
  }
};

const Register<Initializer> registered{
    {.name = "zeros", .summary = "all 0", .make = [](Options& o) { return std::make_unique<Zeros>(o); }}};

}  // namespace
}  // namespace lockstep
