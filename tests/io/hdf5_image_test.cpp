#include <gtest/gtest.h>

#include "core/base/error.h"
#include "io/hdf5.h"

namespace lockstep {
namespace {

TEST(Hdf5ImageTest, AFileInMemoryIsReadBackFromItsBytes) {
  constexpr std::int64_t kCount = 3'000'000;  // makes the image grow several times
  Hdf5File made = Hdf5File::create_in_memory("made", Hdf5Format::v110);
  std::vector<float> values(kCount);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000);
  Hdf5Dataset data = made.root().create_dataset("x", Dtype::f32, Shape{kCount}, {.chunk = Shape{1 << 16}, .fletcher32 = true});
  data.write(values.data(), Dtype::f32);
  data.close();
  const auto image = made.close_to_image();
  EXPECT_GT(image.size(), kCount * sizeof(float));
  EXPECT_LT(image.size(), kCount * sizeof(float) + (1 << 17));

  const Hdf5File opened = Hdf5File::open_in_memory("opened", image);
  const Hdf5File again = Hdf5File::open_in_memory("opened", image);
  std::vector<float> found(kCount);
  opened.root().dataset("x").read(found.data(), Dtype::f32);
  EXPECT_EQ(found, values);
  EXPECT_TRUE(again.root().contains("x"));
}

TEST(Hdf5ImageTest, BytesThatAreNoFileAreRefusedByName) {
  const std::vector<std::byte> nothing(4096);
  try {
    Hdf5File::open_in_memory("a.h5", nothing);
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::content);
    EXPECT_EQ(std::string(error.what()).find("\"a.h5\": not a whole HDF5 file"), 0u);
  }
}

}  // namespace
}  // namespace lockstep
