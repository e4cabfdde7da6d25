#include "launch/profile.h"

#include <vector>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

// Two steps. At 10 GB/s and 0.1 TFLOP/s the product stands under 8 ms of operations, the other under 2 ms of memory.
const std::vector<ProfileEntry> kEntries = {
    {.op = "conv2d.forward", .kernel = "fast", .calls = 3, .work = {.bytes = 4e6, .operations = 8e8}, .seconds = 0.032},
    {.op = "batch_norm.normalize", .kernel = "own", .calls = 2, .work = {.bytes = 2e7}, .seconds = 0.008},
    {.op = "decide", .kernel = "", .calls = 1, .seconds = 0},
};

TEST(RoofsTest, TheSlowerOfMemoryAndProductsDecides) {
  const Roofs roofs{.bytes_per_second = 1e10, .operations_per_second = 1e11};
  EXPECT_DOUBLE_EQ(roofs.seconds(kEntries[0].work), 0.008);
  EXPECT_DOUBLE_EQ(roofs.seconds(kEntries[1].work), 0.002);
  EXPECT_EQ(roofs.seconds({}), 0);
  EXPECT_EQ(Roofs{}.seconds(kEntries[0].work), 0) << "nothing is known of the device";
}

TEST(DescribeProfileTest, AStepsTimesWorkAndRatesWithASumOfAll) {
  EXPECT_EQ(describe_profile(kEntries, 2),
            "operation             kernel  calls  ms a step   share     MB  GFLOP  GB/s  TFLOP/s\n"
            "--------------------  ------  -----  ---------  ------  -----  -----  ----  -------\n"
            "conv2d.forward        fast        3     16.000   80.0%   4.00  0.800   0.2    0.050\n"
            "batch_norm.normalize  own         2      4.000   20.0%  20.00          5.0\n"
            "decide                            1      0.000    0.0%\n"
            "all                                     20.000  100.0%  24.00  0.800   1.2    0.040\n");
}

TEST(DescribeProfileTest, RoofsAddTheShareThatEachReached) {
  const std::string text = describe_profile(kEntries, 2, {.bytes_per_second = 1e10, .operations_per_second = 1e11});
  EXPECT_NE(text.find("TFLOP/s  roofline\n"), std::string::npos) << text;
  EXPECT_NE(text.find("0.050       50%\n"), std::string::npos) << text;  // 8 of 16 ms
  EXPECT_NE(text.find("5.0                50%\n"), std::string::npos) << text;  // 2 of 4 ms
  EXPECT_NE(text.find("0.040       50%\n"), std::string::npos) << text;  // 10 of 20 ms
}

}  // namespace
}  // namespace lockstep
