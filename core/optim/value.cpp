// g = max(-bound, min(bound, g)), each element for itself.
#include "core/train/clipping.h"

namespace lockstep {
namespace {

class ValueClipping : public Clipping {
 public:
  explicit ValueClipping(Options& options) : bound_(options.real("value", {}, {.least = 0.0})) {
    if (!(bound_ > 0)) fail(ErrorKind::run_file, "{}\"value\": expected a bound above 0, got {}", options.where("value"), bound_);
  }
  Scope scope() const override { return Scope::element; }
  double bound() const override { return bound_; }

 private:
  double bound_;
};

const Register<Clipping> registered{{.name = "value", .summary = "bounds each element of the gradients", .make = [](Options& options) {
                                       return std::make_unique<ValueClipping>(options);
                                     }}};

}  // namespace
}  // namespace lockstep
