#include <gtest/gtest.h>

#include "tests/support/cuda_backend.h"
#include "tests/support/engine_op_checks.h"

namespace lockstep::test {
namespace {

TEST(CpuStepTest, SumsSquaresOfEachBlock) { check_squares(cpu_backend()); }
TEST(CpuStepTest, ClipsAndDecides) { check_decision(cpu_backend()); }

}  // namespace
}  // namespace lockstep::test
