// factor = floor + (1 - floor) * (1 + cos(pi * step / total_steps)) / 2. Loshchilov and Hutter 2017, "SGDR", without restarts.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/schedules/main_option.h"
#include "core/train/schedule.h"

namespace lockstep {
namespace {

class Cosine : public Schedule {
 public:
  explicit Cosine(Options& options) : floor_(main_real(options, "cosine", 0.0, {0.0, 1.0})) {}

  double factor(const Progress& progress) const override {
    const double done = static_cast<double>(progress.step) / static_cast<double>(std::max<std::int64_t>(progress.total_steps, 1));
    return floor_ + (1.0 - floor_) * (1.0 + std::cos(std::numbers::pi * std::clamp(done, 0.0, 1.0))) / 2.0;
  }

 private:
  double floor_;
};

const Register<Schedule> registered{{.name = "cosine",
                                     .summary = "half a cosine from the peak to a floor, given as a fraction of the peak (0)",
                                     .make = [](Options& options) { return std::make_unique<Cosine>(options); }}};

}  // namespace
}  // namespace lockstep
