#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/registry.h"
#include "launch/device_choice.h"
#include "tests/support/cuda_backend.h"

// gpu_tests: the tests that need nothing of the shim, with the plug-in on a real GPU.
namespace lockstep::test {

std::unique_ptr<Backend> make_cuda_backend() {
  static const bool opened = (installed_cuda_plug_in().open(), true);  // again where it failed
  static_cast<void>(opened);
  Value options;
  options.set("cuda", Value::boolean(true));
  options.set("device", Value::integer(0));
  return make_plug_in<Backend>(options);
}

Backend& cuda_backend() {
  static Backend* const one = make_cuda_backend().release();
  return *one;
}

std::string no_cuda_backend() {
  try {
    cuda_backend();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

namespace {

/// Every test is skipped by itself, so that each is seen to be.
class NeedsGpu : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo&) override {
    if (const std::string why = no_cuda_backend(); !why.empty()) GTEST_SKIP() << why;
  }
};

const bool registered = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new NeedsGpu);
  return true;
}();

}  // namespace
}  // namespace lockstep::test
