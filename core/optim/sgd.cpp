// g = gradient + weight_decay w.  plain: w -= rate g.  momentum: b = m b + (1 - dampening) g, w -= rate b.
// nesterov: b = m b + g, w -= rate (g + m b).  b starts as the first g: PyTorch's torch.optim.SGD.
#include "core/backend/step_block.h"
#include "core/base/formula.h"
#include "core/optim/decay.h"
#include "core/train/optimizer.h"
#include "update_kernel.h"

namespace lockstep {
namespace {

struct SgdFactors {
  float rate, decay, momentum, fresh;
};

struct PlainRule {
  static constexpr std::string_view kOp = "sgd.update";
  static constexpr std::size_t kSlots = 0;
  using Factors = SgdFactors;
  explicit PlainRule(const Attributes& attributes) : decay(static_cast<float>(attributes.real("weight_decay"))) {}
  LOCKSTEP_FORMULA Factors factors(const StepBlock& step) const { return {step.learning_rate, decay, 0.0f, 1.0f}; }
  LOCKSTEP_FORMULA static void update(const Factors& f, float& w, float g, float*) { w -= f.rate * (g + f.decay * w); }
  float decay;
};

struct MomentumRule {
  static constexpr std::string_view kOp = "sgd.update_momentum";
  static constexpr std::size_t kSlots = 1;
  using Factors = SgdFactors;
  explicit MomentumRule(const Attributes& attributes)
      : decay(static_cast<float>(attributes.real("weight_decay"))), dampening(static_cast<float>(attributes.real("dampening"))) {}
  LOCKSTEP_FORMULA Factors factors(const StepBlock& step) const {
    return {step.learning_rate, decay, step.momentum, step.updates <= 1 ? 1.0f : 1.0f - dampening};
  }
  LOCKSTEP_FORMULA static void update(const Factors& f, float& w, float g, float* slots) {
    slots[0] = f.momentum * slots[0] + f.fresh * (g + f.decay * w);
    w -= f.rate * slots[0];
  }
  float decay, dampening;
};

struct NesterovRule {
  static constexpr std::string_view kOp = "sgd.update_nesterov";
  static constexpr std::size_t kSlots = 1;
  using Factors = SgdFactors;
  explicit NesterovRule(const Attributes& attributes) : decay(static_cast<float>(attributes.real("weight_decay"))) {}
  LOCKSTEP_FORMULA Factors factors(const StepBlock& step) const { return {step.learning_rate, decay, step.momentum, 1.0f}; }
  LOCKSTEP_FORMULA static void update(const Factors& f, float& w, float g, float* slots) {
    const float decayed = g + f.decay * w;
    slots[0] = f.momentum * slots[0] + decayed;
    w -= f.rate * (decayed + f.momentum * slots[0]);
  }
  float decay;
};

/// The string `"sgd"` alone is the plain rule.
std::string rule_of(Options& options) {
  const Value* main = options.take("sgd");
  if (main && main->is_boolean() && std::get<bool>(main->data())) return "plain";
  return options.choice("sgd", {"plain", "momentum", "nesterov"});
}

class Sgd : public Optimizer {
 public:
  explicit Sgd(Options& options) : rule_(rule_of(options)), decay_(options, 0.0) {
    if (rule_ != "plain") momentum_ = options.real("momentum", 0.9, {0.0, 1.0});
    if (rule_ == "momentum") dampening_ = options.real("dampening", 0.0, {0.0, 1.0});
  }

  std::string op() const override { return rule_ == "plain" ? "sgd.update" : "sgd.update_" + rule_; }
  Attributes attributes() const override { return {{"dampening", dampening_}}; }
  std::vector<std::string> slots() const override {
    return rule_ == "plain" ? std::vector<std::string>{} : std::vector<std::string>{"momentum"};
  }
  double momentum() const override { return momentum_; }
  double weight_decay() const override { return decay_.weight_decay; }
  const std::vector<std::string>& no_decay() const override { return decay_.except; }

 private:
  std::string rule_;
  DecayOptions decay_;
  double momentum_ = 0.0, dampening_ = 0.0;
};

const RegisterUpdates<Optimizer, Sgd, PlainRule, MomentumRule, NesterovRule> registered(
    "sgd", "stochastic gradient descent: plain, momentum or nesterov");

}  // namespace
}  // namespace lockstep
