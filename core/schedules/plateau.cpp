// factor is multiplied by `factor` when the monitored metric has not improved by more than `min_delta` for more than `patience` epochs;
// then it waits `cooldown` epochs. As PyTorch's ReduceLROnPlateau with threshold_mode="abs".
#include <algorithm>
#include <limits>

#include "core/train/schedule.h"

namespace lockstep {
namespace {

class Plateau : public Schedule {
 public:
  explicit Plateau(Options& options) : monitor_(options.text("plateau")) {
    const bool loss = monitor_.ends_with("loss");
    larger_ = options.choice("mode", {"min", "max"}, loss ? "min" : "max") == "max";
    decay_ = options.real("factor", 0.1, {0.0, 1.0});
    patience_ = options.integer("patience", 10, {.least = 0});
    min_delta_ = options.real("min_delta", 0.0, {.least = 0.0});
    cooldown_ = options.integer("cooldown", 0, {.least = 0});
    floor_ = options.real("floor", 0.0, {0.0, 1.0});
    best_ = larger_ ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }

  double factor(const Progress&) const override { return factor_; }
  bool depends_on_length() const override { return false; }
  std::string monitor() const override { return monitor_; }

  void observe(const std::map<std::string, double>& metrics) override {
    const auto it = metrics.find(monitor_);
    if (it == metrics.end()) return;
    const bool better = larger_ ? it->second > best_ + min_delta_ : it->second < best_ - min_delta_;
    if (better) best_ = it->second;
    bad_epochs_ = better ? 0 : bad_epochs_ + 1;
    if (waiting_ > 0) {
      --waiting_;
      bad_epochs_ = 0;
    }
    if (bad_epochs_ <= patience_) return;
    factor_ = std::max(factor_ * decay_, floor_);
    waiting_ = cooldown_;
    bad_epochs_ = 0;
  }

  void visit(StateVisitor& visitor) override {
    const StatePart part(visitor, "plateau");
    visitor.real("factor", factor_);
    visitor.real("best", best_);
    visitor.integer("bad_epochs", bad_epochs_);
    visitor.integer("waiting", waiting_);
  }

 private:
  std::string monitor_;
  bool larger_ = false;
  double decay_ = 0, min_delta_ = 0, floor_ = 0;
  std::int64_t patience_ = 0, cooldown_ = 0;
  double factor_ = 1.0, best_ = 0;
  std::int64_t bad_epochs_ = 0, waiting_ = 0;
};

const Register<Schedule> registered{{.name = "plateau",
                                     .summary = "times `factor` (0.1) when a metric stops improving for `patience` (10) epochs",
                                     .make = [](Options& options) { return std::make_unique<Plateau>(options); }}};

}  // namespace
}  // namespace lockstep
