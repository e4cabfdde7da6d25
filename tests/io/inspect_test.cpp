#include "io/inspect.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cmath>
#include <filesystem>

#include "tests/io/data_file.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::expect_error;
using testing::TemporaryDirectory;

TEST(InspectTest, ListsWhatIsThereAndWhatWouldBeRefused) {
  const TemporaryDirectory folder;
  const std::string path = folder / "a.h5";
  testing::write_images(path, Shape{4, 2, 3, 1});
  const hid_t raw = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  H5Lcreate_soft("/train/images", raw, "soft", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(raw);
  const InspectedFile file = inspect_file(path);
  EXPECT_EQ(file.bytes, std::filesystem::file_size(path));
  ASSERT_EQ(file.objects.size(), 5u);
  EXPECT_EQ(file.objects[0].path, "/");
  EXPECT_EQ(file.objects[1].path, "/soft");
  EXPECT_NE(file.objects[1].refused.find("a soft link"), std::string::npos) << file.objects[1].refused;
  EXPECT_EQ(file.objects[2].path, "/train");
  const InspectedObject& images = file.objects[3];
  EXPECT_EQ(images.path, "/train/images");
  EXPECT_EQ(images.shape, (Shape{4, 2, 3, 1}));
  EXPECT_EQ(images.type, "u8");
  EXPECT_EQ(images.bytes, 24u);
  EXPECT_EQ(images.stored_bytes, 24u);
  EXPECT_EQ(images.storage, "contiguous");
  EXPECT_EQ(images.refused, "");
}

TEST(InspectTest, ShowsAttributesOfAnyType) {
  const TemporaryDirectory folder;
  Hdf5File file = Hdf5File::create(folder / "a.h5", Hdf5Format::v18);
  file.root().set_attribute("classes", 10);
  file.root().set_attribute("names", std::vector<std::string>{"a", "b"});
  file.close();
  const auto attributes = inspect_file(folder / "a.h5").objects[0].attributes;
  ASSERT_EQ(attributes.size(), 2u);
  EXPECT_EQ(attributes[0].value, "10");
  EXPECT_EQ(attributes[1].value, "[\"a\", \"b\"]");
}

TEST(InspectTest, CyclesOfGroupsEnd) {
  const TemporaryDirectory folder;
  const hid_t raw = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t group = H5Gcreate2(raw, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(raw, "/g", group, "again", H5P_DEFAULT, H5P_DEFAULT);
  H5Gclose(group), H5Fclose(raw);
  expect_error(ErrorKind::content, "expected at most 16 levels of groups (a cycle?)", [&] { inspect_file(folder / "a.h5"); });
}

TEST(InspectTest, MeasuresValues) {
  const TemporaryDirectory folder;
  testing::write_numbers(folder / "a.h5", StoredType::f32, Shape{2, 3}, {1, -2, 7, NAN, 0, 4});
  const InspectedValues values = inspect_values(folder / "a.h5", "/x");
  EXPECT_EQ(values.least, -2.0);
  EXPECT_EQ(values.mean, 2.0);
  EXPECT_EQ(values.most, 7.0);
  EXPECT_EQ(values.not_finite, 1);
}

}  // namespace
}  // namespace lockstep
