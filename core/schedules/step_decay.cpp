// factor = decay^k, k of the milestones (in epochs) being reached. He et al. 2016; PyTorch's MultiStepLR.
#include <algorithm>
#include <cmath>

#include "core/train/schedule.h"

namespace lockstep {
namespace {

class StepDecay : public Schedule {
 public:
  explicit StepDecay(Options& options) : epochs_(options.reals("step_decay")), decay_(options.real("factor", 0.1, {0.0, 1.0})) {
    const bool rising = std::adjacent_find(epochs_.begin(), epochs_.end(), std::greater_equal<>()) == epochs_.end();
    if (epochs_.empty() || !rising || !(epochs_.front() > 0))
      fail(ErrorKind::run_file, "{}\"step_decay\": expected rising epochs such as [30, 60, 80], got {}", options.where("step_decay"),
           options.take("step_decay")->describe());
  }

  double factor(const Progress& progress) const override {
    const auto reached = std::upper_bound(epochs_.begin(), epochs_.end(), progress.epoch()) - epochs_.begin();
    return std::pow(decay_, static_cast<double>(reached));
  }
  bool depends_on_length() const override { return false; }

 private:
  std::vector<double> epochs_;
  double decay_;
};

const Register<Schedule> registered{{.name = "step_decay",
                                     .summary = "times `factor` (0.1) at each of a list of epochs",
                                     .make = [](Options& options) { return std::make_unique<StepDecay>(options); }}};

}  // namespace
}  // namespace lockstep
