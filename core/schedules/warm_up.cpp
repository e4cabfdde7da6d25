// factor = (start + (1 - start) * step / length) * then(0), up to `length` epochs or steps; then what `then` says, its clock starting
// there. Goyal et al. 2017, "Accurate, large minibatch SGD". `{ warm_up = 5, then = { cosine = 0.01 } }`.
#include <algorithm>
#include <cmath>

#include "core/train/schedule.h"

namespace lockstep {
namespace {

class WarmUp : public Schedule {
 public:
  explicit WarmUp(Options& options)
      : length_(options.real("warm_up", {}, {.least = 0.0})),
        epochs_(options.choice("unit", {"epochs", "steps"}, "epochs") == "epochs"),
        start_(options.real("start", 0.01, {0.0, 1.0})) {
    const Value* then = options.take("then");
    then_ = make_plug_in<Schedule>(then ? *then : Value::text("constant", options.table().place()));
    if (then_->warms_up())
      fail(ErrorKind::run_file, "{}\"then\": {} rises by itself at the start, so this would warm up twice: expected one of the two",
           options.where("then"), then->describe());
  }

  double factor(const Progress& progress) const override {
    const std::int64_t steps = length(progress);
    if (progress.step >= steps) return then_->factor(after(progress));
    const double rise = start_ + (1.0 - start_) * static_cast<double>(progress.step) / static_cast<double>(steps);
    return rise * then_->factor(after(progress));
  }
  std::optional<double> momentum(const Progress& progress) const override { return then_->momentum(after(progress)); }
  bool warms_up() const override { return true; }
  bool depends_on_length() const override { return then_->depends_on_length(); }
  std::string monitor() const override { return then_->monitor(); }
  void observe(const std::map<std::string, double>& metrics) override { then_->observe(metrics); }
  void visit(StateVisitor& visitor) override { then_->visit(visitor); }

 private:
  std::int64_t length(const Progress& progress) const {
    return std::llround(epochs_ ? length_ * static_cast<double>(progress.steps_per_epoch) : length_);
  }
  Progress after(const Progress& progress) const {
    const std::int64_t steps = length(progress);
    return {.step = std::max<std::int64_t>(progress.step - steps, 0),
            .total_steps = std::max<std::int64_t>(progress.total_steps - steps, 0),
            .steps_per_epoch = progress.steps_per_epoch};
  }

  double length_;
  bool epochs_;
  double start_;
  std::unique_ptr<Schedule> then_;
};

const Register<Schedule> registered{{.name = "warm_up",
                                     .summary = "a linear rise over some epochs (`unit = \"steps\"`), then the schedule in `then`",
                                     .make = [](Options& options) { return std::make_unique<WarmUp>(options); }}};

}  // namespace
}  // namespace lockstep
