#include <gtest/gtest.h>

#include "tests/support/cuda_backend.h"
#include "tests/support/engine_op_checks.h"

namespace lockstep::test {
namespace {

TEST(CudaStepTest, SumsSquaresOfEachBlock) { check_squares(cuda_backend()); }
TEST(CudaStepTest, ClipsAndDecides) { check_decision(cuda_backend()); }

}  // namespace
}  // namespace lockstep::test
