// w = 1.
#include <algorithm>

#include "core/model/initializer.h"

namespace lockstep {
namespace {

class Ones : public Initializer {
 public:
  explicit Ones(Options& options) { options.expect_true("ones"); }
  void fill(std::span<float> values, std::int64_t, std::int64_t, std::uint64_t) const override {
    std::fill(values.begin(), values.end(), 1.0f);
  }
};

const Register<Initializer> registered{{.name = "ones", .summary = "all 1", .make = [](Options& o) { return std::make_unique<Ones>(o); }}};

}  // namespace
}  // namespace lockstep
