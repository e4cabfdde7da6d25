#include "tests/core/optim/optimizer_case.h"
#include "tests/support/random_values.h"

namespace lockstep::test {
namespace {

std::vector<Value::Table> all_optimizers() {
  const std::pair<std::string, Value> decay{"weight_decay", Value::real(0.01)};
  const auto sgd = [&](const char* rule) { return Value::Table{{"sgd", Value::text(rule)}, decay}; };
  return {sgd("plain"), sgd("momentum"), sgd("nesterov"), {{"adamw", Value::boolean(true)}, decay}};
}

TEST(CudaUpdateTest, ObeysTheStep) {
  for (const Value::Table& options : all_optimizers()) check_optimizer([&] { return make_from<Optimizer>(options); }, cuda_backend());
}

/// Blocks as a plan cuts them, at multiples of 16 and of odd lengths, and one that begins anywhere.
TEST(CudaUpdateTest, BitsAreTheCpus) {
  const std::vector<Block> blocks = {{0, 1, 0}, {16, 1027, 1}, {1056, 2048, 1}, {3104, 6, 2}, {3111, 9, 0}};
  const std::vector<float> scales = {0.5f, 0.25f, 3.0f};
  const auto start = random_values<float>(3120, 1);
  for (const Value::Table& options : all_optimizers())
    for (const bool by_tensor : {false, true}) {
      OptimizerCase cpu(make_from<Optimizer>(options), 0.3, start), cuda(make_from<Optimizer>(options), 0.3, start, cuda_backend());
      for (int s = 0; s < 3; ++s) {
        const auto gradients = random_values<float>(start.size(), 2 + static_cast<std::uint64_t>(s));
        StepBlock step = golden_step(s);
        step.gradient_scale = 0.75f;
        for (OptimizerCase* c : {&cpu, &cuda}) c->update_blocks(gradients, step, blocks, by_tensor ? scales : std::vector<float>{});
      }
      EXPECT_NE(cpu.weights, start);
      EXPECT_EQ(cpu.weights, cuda.weights) << options[0].first;
      EXPECT_EQ(cpu.slots, cuda.slots) << options[0].first;
      EXPECT_EQ(cuda.weights[1], start[1]) << "elements of no block stay";
      EXPECT_EQ(cuda.weights[3110], start[3110]);
    }
}

}  // namespace
}  // namespace lockstep::test
