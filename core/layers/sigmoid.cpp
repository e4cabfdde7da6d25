// y = 1 / (1 + e^-x);  dx = dy y (1 - y).  Any shape.
#include "core/base/math.h"
#include "elementwise_kernel.h"

namespace lockstep {
namespace {

struct Sigmoid {
  static constexpr bool kReadsInput = false, kReadsOutput = true;
  LOCKSTEP_FORMULA static float forward(float x) { return 1.0f / (1.0f + exponential(-x)); }
  LOCKSTEP_FORMULA static float gradient(float, float y, float dy) { return dy * y * (1.0f - y); }
};

const RegisterElementwise<Sigmoid> registered("sigmoid", "logistic function 1 / (1 + exp(-x))");

}  // namespace
}  // namespace lockstep
