// g *= min(1, max / (|g| + 1e-6)), |g| of each parameter tensor for itself. Pascanu et al. 2013; the epsilon is PyTorch's clip_grad_norm_.
#include "core/train/clipping.h"

namespace lockstep {
namespace {

class TensorNorm : public Clipping {
 public:
  explicit TensorNorm(Options& options) : most_(options.real("norm", {}, {.least = 0.0})) {
    if (!(most_ > 0)) fail(ErrorKind::run_file, "{}\"norm\": expected a norm above 0, got {}", options.where("norm"), most_);
  }
  Scope scope() const override { return Scope::tensor; }
  double bound() const override { return most_; }

 private:
  double most_;
};

const Register<Clipping> registered{{.name = "norm",
                                     .summary = "scales each gradient tensor so that its norm stays within a bound",
                                     .make = [](Options& options) { return std::make_unique<TensorNorm>(options); }}};

}  // namespace
}  // namespace lockstep
