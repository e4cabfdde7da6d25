// w -= rate weight_decay w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// w -= rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon).  Loshchilov and Hutter 2019, as torch.optim.AdamW; t counts
// updates, beta1 may be moved by a schedule.
#include "core/backend/step_block.h"
#include "core/base/formula.h"
#include "core/optim/decay.h"
#include "core/train/optimizer.h"
#include "update_kernel.h"

namespace lockstep {
namespace {

/// base^n by squaring: the same bits on every machine, which a C library's pow does not promise.
LOCKSTEP_FORMULA inline double power(double base, std::int64_t n) {
  double result = 1.0;
  for (; n > 0; n >>= 1, base *= base)
    if (n & 1) result *= base;
  return result;
}

struct AdamWRule {
  static constexpr std::string_view kOp = "adamw.update";
  static constexpr std::size_t kSlots = 2;
  struct Factors {
    float keep, beta1, fresh1, beta2, fresh2, step_size, root_scale, epsilon;
  };
  explicit AdamWRule(const Attributes& attributes)
      : beta2(attributes.real("beta2")), epsilon(attributes.real("epsilon")), decay(attributes.real("weight_decay")) {}
  LOCKSTEP_FORMULA Factors factors(const StepBlock& step) const {
    const double rate = static_cast<double>(step.learning_rate), beta1 = static_cast<double>(step.momentum);
    const double correction1 = 1.0 - power(beta1, step.updates), correction2 = 1.0 - power(beta2, step.updates);
    return {static_cast<float>(1.0 - rate * decay),
            static_cast<float>(beta1),
            static_cast<float>(1.0 - beta1),
            static_cast<float>(beta2),
            static_cast<float>(1.0 - beta2),
            static_cast<float>(rate / correction1),
            static_cast<float>(1.0 / __builtin_sqrt(correction2)),
            static_cast<float>(epsilon)};
  }
  LOCKSTEP_FORMULA static void update(const Factors& f, float& w, float g, float* slots) {
    slots[0] = f.beta1 * slots[0] + f.fresh1 * g;
    slots[1] = f.beta2 * slots[1] + f.fresh2 * (g * g);
    w = f.keep * w - f.step_size * (slots[0] / (__builtin_sqrtf(slots[1]) * f.root_scale + f.epsilon));
  }
  double beta2, epsilon, decay;
};

class AdamW : public Optimizer {
 public:
  explicit AdamW(Options& options) : decay_(options, 0.01) {
    options.expect_true("adamw");
    beta1_ = options.real("beta1", beta1_, {0.0, kMost});
    beta2_ = options.real("beta2", beta2_, {0.0, kMost});
    epsilon_ = options.real("epsilon", epsilon_, {.least = 0.0});
  }

  std::string op() const override { return "adamw.update"; }
  Attributes attributes() const override { return {{"beta2", beta2_}, {"epsilon", epsilon_}}; }
  std::vector<std::string> slots() const override { return {"first_moment", "second_moment"}; }
  double momentum() const override { return beta1_; }
  double weight_decay() const override { return decay_.weight_decay; }
  const std::vector<std::string>& no_decay() const override { return decay_.except; }

 private:
  static constexpr double kMost = 0.999999;
  DecayOptions decay_;
  double beta1_ = 0.9, beta2_ = 0.999, epsilon_ = 1e-8;
};

const RegisterUpdates<Optimizer, AdamW, AdamWRule> registered("adamw", "Adam with decoupled weight decay");

}  // namespace
}  // namespace lockstep
