#include <gtest/gtest.h>

#include "tests/support/cuda_backend.h"
#include "tests/support/engine_op_checks.h"

namespace lockstep::test {
namespace {

TEST(CpuFoldTest, SumsFollowTheLaneTree) { check_fold_add(cpu_backend()); }
TEST(CpuFoldTest, MomentsFollowTheLaneTree) { check_fold_moments(cpu_backend()); }
TEST(CpuFoldTest, ItemsAreOneNode) { check_fold_errors(cpu_backend()); }

}  // namespace
}  // namespace lockstep::test
