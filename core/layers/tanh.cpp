// y = tanh(x);  dx = dy (1 - y^2).  Any shape.
#include "core/base/math.h"
#include "elementwise_kernel.h"

namespace lockstep {
namespace {

struct Tanh {
  static constexpr bool kReadsInput = false, kReadsOutput = true;
  LOCKSTEP_FORMULA static float forward(float x) { return hyperbolic_tangent(x); }
  LOCKSTEP_FORMULA static float gradient(float, float y, float dy) { return dy * (1.0f - y * y); }
};

const RegisterElementwise<Tanh> registered("tanh", "hyperbolic tangent");

}  // namespace
}  // namespace lockstep
