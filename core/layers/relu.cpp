// y = max(x, 0);  dx = dy where y > 0, else 0.  Any shape. A NaN stays a NaN.
#include "elementwise_kernel.h"

namespace lockstep {
namespace {

struct Relu {
  static constexpr bool kReadsInput = false, kReadsOutput = true;
  LOCKSTEP_FORMULA static float forward(float x) { return x < 0.0f ? 0.0f : x; }
  LOCKSTEP_FORMULA static float gradient(float, float y, float dy) { return y > 0.0f ? dy : 0.0f; }
};

const RegisterElementwise<Relu> registered("relu", "rectified linear unit: max(x, 0)");

}  // namespace
}  // namespace lockstep
