#include "core/device/identity.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

const DeviceIdentity kWhole{.name = "NVIDIA H200", .uuid = "GPU-6c4f", .bus = "0000:1b:00.0", .host = "3f2c8a11-0b5d-4c7e-9a41-5d0c1e2f3a4b"};

TEST(DeviceIdentityTest, ThePhysicalDeviceIsBusAndHost) { EXPECT_EQ(physical_device(kWhole), "GPU 0000:1b:00.0 of host 3f2c8a11"); }

TEST(DeviceIdentityTest, PartsOfADeviceAreOnePhysicalDevice) {
  DeviceIdentity part = kWhole;
  part.name = "NVIDIA H200 MIG 1g.18gb", part.uuid = "MIG-90aa";
  EXPECT_EQ(physical_device(part), physical_device(kWhole));
}

TEST(DeviceIdentityTest, OtherSlotsAndOtherHostsAreOtherDevices) {
  DeviceIdentity other = kWhole;
  other.bus = "0000:43:00.0";
  EXPECT_NE(physical_device(other), physical_device(kWhole));
  other = kWhole;
  other.host = "77aa0000-0b5d-4c7e-9a41-5d0c1e2f3a4b";
  EXPECT_NE(physical_device(other), physical_device(kWhole));
}

}  // namespace
}  // namespace lockstep
