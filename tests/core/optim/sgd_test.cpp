#include "tests/core/optim/optimizer_case.h"

namespace lockstep::test {
namespace {

std::unique_ptr<Optimizer> sgd(const char* rule, Value::Table options = {}) {
  options.emplace_back("sgd", Value::text(rule));
  return make_from<Optimizer>(options);
}

const std::pair<std::string, Value> kDecay{"weight_decay", Value::real(0.01)};

// Golden values: PyTorch 2.15.0, tests/golden/optimizers.py.
TEST(SgdTest, FiveStepsEqualPyTorch) {
  compare_optimizer(sgd("plain", {kDecay}), {0.5848981121, -1.262721263, 1.934305366, 0.009557590878});
  compare_optimizer(sgd("momentum", {kDecay}), {0.7604089192, -1.459731595, 1.94685333, -0.08411006066});
  compare_optimizer(sgd("momentum", {{"dampening", Value::real(0.3)}}), {0.7558790676, -1.43529047, 2.007234531, -0.1279923468});
  compare_optimizer(sgd("nesterov", {kDecay}), {0.8204935696, -1.450436314, 1.88144532, -0.06549337773});
}

TEST(SgdTest, ObeysTheStep) {
  for (const char* rule : {"plain", "momentum", "nesterov"}) check_optimizer([&] { return sgd(rule, {kDecay}); });
}

TEST(SgdTest, TellsItsState) {
  EXPECT_EQ(sgd("plain")->slots(), std::vector<std::string>{});
  EXPECT_EQ(sgd("nesterov")->slots(), std::vector<std::string>{"momentum"});
  EXPECT_EQ(sgd("momentum")->momentum(), 0.9);
  const auto made = sgd("momentum", {{"except", Value(Value::Data(Value::Array{Value::text("norm"), Value::text("bias")}))}, kDecay});
  EXPECT_EQ(made->no_decay(), (std::vector<std::string>{"norm", "bias"}));
  EXPECT_EQ(made->weight_decay(), 0.01);
}

TEST(SgdTest, RefusesWrongOptions) {
  EXPECT_EQ(error_text([] { sgd("heavy"); }), "optimizer \"sgd\": \"sgd\": unknown value \"heavy\"; known: plain, momentum, nesterov");
  EXPECT_EQ(error_text([] {
              sgd("momentum", {{"momentum", Value::real(1.5)}});
            }),
            "optimizer \"sgd\": \"momentum\": expected at most 1, got 1.5");
  EXPECT_EQ(error_text([] {
              sgd("plain", {{"except", Value::text("gain")}});
            }),
            "optimizer \"sgd\": \"except\": unknown parameter kind \"gain\"; known: bias, norm, weight");
  const std::string unknown = error_text([] { sgd("plain", {{"momentum", Value::real(0.9)}}); });
  EXPECT_EQ(unknown.find("optimizer \"sgd\": unknown key \"momentum\"; known: "), 0u) << unknown;
}

}  // namespace
}  // namespace lockstep::test
