// g *= min(1, max / (|g| + 1e-6)), |g| over the whole model. Pascanu et al. 2013; the epsilon is PyTorch's clip_grad_norm_.
#include "core/train/clipping.h"

namespace lockstep {
namespace {

class GlobalNorm : public Clipping {
 public:
  explicit GlobalNorm(Options& options) : most_(options.real("global_norm", {}, {.least = 0.0})) {
    if (!(most_ > 0)) fail(ErrorKind::run_file, "{}\"global_norm\": expected a norm above 0, got {}", options.where("global_norm"), most_);
  }
  Scope scope() const override { return Scope::global; }
  double bound() const override { return most_; }

 private:
  double most_;
};

const Register<Clipping> registered{{.name = "global_norm",
                                     .summary = "scales all gradients so that their common norm stays within a bound",
                                     .make = [](Options& options) { return std::make_unique<GlobalNorm>(options); }}};

}  // namespace
}  // namespace lockstep
