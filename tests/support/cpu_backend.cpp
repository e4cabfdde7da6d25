#include "core/base/registry.h"
#include "tests/support/cuda_backend.h"

namespace lockstep::test {

Backend& cpu_backend() {
  static const auto one = make_plug_in<Backend>(Value::text("cpu"));
  return *one;
}

}  // namespace lockstep::test
