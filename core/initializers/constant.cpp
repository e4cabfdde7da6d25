// w = constant.
#include <algorithm>

#include "core/model/initializer.h"

namespace lockstep {
namespace {

class Constant : public Initializer {
 public:
  explicit Constant(Options& options) : value_(static_cast<float>(options.real("constant"))) {}
  void fill(std::span<float> values, std::int64_t, std::int64_t, std::uint64_t) const override {
    std::fill(values.begin(), values.end(), value_);
  }

 private:
  float value_;
};

const Register<Initializer> registered{
    {.name = "constant", .summary = "one number everywhere", .make = [](Options& o) { return std::make_unique<Constant>(o); }}};

}  // namespace
}  // namespace lockstep
