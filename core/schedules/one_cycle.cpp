// factor rises from 1/divide to 1 over the first `one_cycle` of the steps, then falls to 1/(divide*final_divide); momentum goes the
// other way. Smith and Topin 2018, "Super-convergence"; steps are counted as in PyTorch's OneCycleLR (two phases).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/schedules/main_option.h"
#include "core/train/schedule.h"

namespace lockstep {
namespace {

class OneCycle : public Schedule {
 public:
  explicit OneCycle(Options& options)
      : rise_(main_real(options, "one_cycle", 0.3, {0.0, 1.0})),
        divide_(options.real("divide", 25.0, {.least = 1.0})),
        final_divide_(options.real("final_divide", 1e4, {.least = 1.0})),
        cosine_(options.choice("shape", {"cosine", "linear"}, "cosine") == "cosine") {
    if (!options.has("momentum")) {
      options.take("momentum");
      return;
    }
    range_ = options.reals("momentum");
    const bool fits = range_.size() == 2 && range_[0] < 1.0 && range_[0] >= range_[1] && range_[1] >= 0.0;
    if (!fits)
      fail(ErrorKind::run_file, "{}\"momentum\": expected [high, low] in [0, 1), got {}", options.where("momentum"),
           options.take("momentum")->describe());
  }

  double factor(const Progress& progress) const override {
    const double start = 1.0 / divide_;
    return between(progress, start, 1.0, start / final_divide_);
  }
  std::optional<double> momentum(const Progress& progress) const override {
    if (range_.empty()) return {};
    return between(progress, range_[0], range_[1], range_[0]);
  }
  bool warms_up() const override { return rise_ > 0.0 && divide_ > 1.0; }

 private:
  double between(const Progress& progress, double first, double middle, double last) const {
    const double total = static_cast<double>(std::max<std::int64_t>(progress.total_steps, 1));
    const double step = std::min(static_cast<double>(progress.step), total - 1.0);
    const double top = rise_ * total - 1.0;
    if (step <= top && top > 0.0) return blend(first, middle, step / top);
    const double fall = total - 1.0 - top;
    return fall > 0.0 ? blend(middle, last, (step - top) / fall) : middle;
  }
  double blend(double from, double to, double done) const {
    if (!cosine_) return (to - from) * done + from;
    return to + (from - to) / 2.0 * (std::cos(std::numbers::pi * done) + 1.0);
  }

  double rise_, divide_, final_divide_;
  bool cosine_;
  std::vector<double> range_;  ///< of the momentum: high, low; or empty
};

const Register<Schedule> registered{{.name = "one_cycle",
                                     .summary = "rise over a fraction of the run (0.3), then fall; momentum the other way",
                                     .make = [](Options& options) { return std::make_unique<OneCycle>(options); }}};

}  // namespace
}  // namespace lockstep
