#include <cstdint>

#include "core/backend/cpu/register.h"
#include "core/backend/step_math.h"

namespace lockstep::cpu {
namespace {

/// Eight interleaved sums, then a fixed tree: the same bits for a block wherever it is computed.
double sum_of_squares(const float* values, std::int64_t count) {
  double sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int k = 0; k < 8; ++k) sums[k] += static_cast<double>(values[i + k]) * static_cast<double>(values[i + k]);
  for (; i < count; ++i) sums[i % 8] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void squares(const OpSpec&, const KernelCall& call) {
  const float* const gradients = static_cast<const float*>(call.reads[0]);
  const Block* const blocks = static_cast<const Block*>(call.reads[1]);
  for (std::int64_t b = 0; b < call.rows; ++b)
    static_cast<double*>(call.writes[0])[b] = sum_of_squares(gradients + blocks[b].offset, blocks[b].elements);
}

class Decide : public Kernel {
 public:
  explicit Decide(const OpSpec& op) : options_(op) {}

  void run(const KernelCall& call) const override {
    const DecideOperands operands = options_.operands(call);
    double squares = 0;
    for (std::int64_t b = 0; b < operands.block_count; ++b) {
      squares += operands.squares[b];
      if (operands.scales) scale_tensor(operands, b);
    }
    decide_step(operands, squares);
  }
  std::string implementation() const override { return "loops"; }

 private:
  DecideOptions options_;
};

const RegisterKernel registered[] = {{"step.squares", simple_kernel(squares)},
                                     {"step.decide", [](const OpSpec& op) { return std::make_unique<Decide>(op); }}};

}  // namespace
}  // namespace lockstep::cpu
