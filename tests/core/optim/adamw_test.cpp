#include "tests/core/optim/optimizer_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Optimizer> adamw(Value::Table options = {}) {
  options.emplace_back("adamw", Value::boolean(true));
  return make_from<Optimizer>(options);
}

// Golden values: PyTorch 2.15.0, tests/golden/optimizers.py.
TEST(AdamWTest, FiveStepsEqualPyTorch) {
  compare_optimizer(adamw({{"weight_decay", Value::real(0.05)}}), {0.9560879124, -1.828624481, 1.96962461, -0.001495463667}, 1e-6);
  compare_optimizer(adamw({{"beta2", Value::real(0.99)}, {"epsilon", Value::real(1e-3)}, {"weight_decay", Value::real(0.0)}}),
                    {0.9722846299, -1.861295109, 2.017893635, -0.002587048933}, 1e-6);
}

TEST(AdamWTest, ObeysTheStep) {
  check_optimizer([] { return adamw(); });
}

TEST(AdamWTest, TellsItsState) {
  const auto made = adamw({{"beta1", Value::real(0.95)}});
  EXPECT_EQ(made->slots(), (std::vector<std::string>{"first_moment", "second_moment"}));
  EXPECT_EQ(made->momentum(), 0.95);
  EXPECT_EQ(made->weight_decay(), 0.01);
}

TEST(AdamWTest, RefusesWrongOptions) {
  EXPECT_EQ(error_text([] { adamw({{"beta1", Value::real(1.0)}}); }), "optimizer \"adamw\": \"beta1\": expected at most 0.999999, got 1");
  EXPECT_EQ(error_text([] {
              adamw({{"weight_decay", Value::real(-1.0)}});
            }),
            "optimizer \"adamw\": \"weight_decay\": expected at least 0, got -1");
  EXPECT_EQ(error_text([] {
              make_from<Optimizer>({{"adamw", Value::boolean(false)}});
            }),
            "optimizer \"adamw\": \"adamw\": expected true, got false");
}

}  // namespace
}  // namespace lockstep::test
