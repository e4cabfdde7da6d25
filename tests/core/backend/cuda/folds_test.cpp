#include <gtest/gtest.h>

#include "tests/support/cuda_backend.h"
#include "tests/support/engine_op_checks.h"

namespace lockstep::test {
namespace {

TEST(CudaFoldTest, SumsFollowTheLaneTree) { check_fold_add(cuda_backend()); }
TEST(CudaFoldTest, MomentsFollowTheLaneTree) { check_fold_moments(cuda_backend()); }
TEST(CudaFoldTest, ItemsAreOneNode) { check_fold_errors(cuda_backend()); }

}  // namespace
}  // namespace lockstep::test
