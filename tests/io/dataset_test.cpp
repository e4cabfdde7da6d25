#include "io/dataset.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/io/data_file.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

using testing::expect_error;
using testing::image_options;
using testing::TemporaryDirectory;
using testing::write_images;
using testing::write_numbers;

/// Options with one field over dataset "x".
DataOptions one_field(DataField field) {
  DataOptions options;
  field.name = "input";
  field.dataset = "x";
  options.fields = {field};
  options.memory_bytes = 1 << 20;
  return options;
}

TEST(DatasetTest, ReadsImagesAndLabels) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{12, 2, 3, 1});
  const Dataset data = Dataset::load(image_options(), {(folder / "a.h5") + ":/train"});
  EXPECT_EQ(data.samples(), 12);
  EXPECT_EQ(data.field("input").sample, (TensorSpec{Shape{2, 3, 1}, Dtype::u8}));
  EXPECT_EQ(data.field("target").sample, (TensorSpec{Shape{}, Dtype::i64}));
  EXPECT_EQ(*reinterpret_cast<const std::uint8_t*>(data.field("input").row(2)), 12);
  EXPECT_EQ(*reinterpret_cast<const std::int64_t*>(data.field("target").row(11)), 1);
  const auto fields = data.batch_fields(Dtype::bf16);
  EXPECT_EQ(fields[0].spec, (TensorSpec{Shape{2, 3, 1}, Dtype::bf16}));
  EXPECT_EQ(fields[1].spec, (TensorSpec{Shape{}, Dtype::i64}));
}

TEST(DatasetTest, ImagesWithoutChannelsGetOne) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{4, 2, 3});
  EXPECT_EQ(Dataset::load(image_options(), {(folder / "a.h5") + ":/train"}).field("input").sample.shape, (Shape{2, 3, 1}));
}

TEST(DatasetTest, TurnsChannelsFirstIntoChannelsLast) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{2, 3, 1, 2});
  DataOptions options = image_options();
  options.fields[0].layout = DataLayout::nchw;
  const Dataset data = Dataset::load(options, {(folder / "a.h5") + ":/train"});
  ASSERT_EQ(data.field("input").sample.shape, (Shape{1, 2, 3}));
  const auto* row = reinterpret_cast<const std::uint8_t*>(data.field("input").row(1));
  EXPECT_EQ(std::vector<int>(row, row + 6), (std::vector<int>{6, 8, 10, 7, 9, 11}));
}

TEST(DatasetTest, JoinsFilesOfAGlobInOrderOfTheirNames) {
  const TemporaryDirectory folder;
  write_images(folder / "part2.h5", Shape{2, 1, 1, 1}, "g", 100);
  write_images(folder / "part1.h5", Shape{3, 1, 1, 1}, "g", 50);
  DataOptions options = image_options();
  options.folder = folder.path().string();
  const Dataset data = Dataset::load(options, {"part*.h5:/g"});
  const auto* values = data.field("input").values.as<std::uint8_t>();
  EXPECT_EQ(std::vector<int>(values, values + 5), (std::vector<int>{50, 51, 52, 100, 101}));
  expect_error(ErrorKind::io, "none*.h5\": no file matches", [&] { Dataset::load(options, {"none*.h5:/g"}); });
}

TEST(DatasetTest, ConvertsNumbersOfOtherWidths) {
  const TemporaryDirectory folder;
  write_numbers(folder / "half.h5", StoredType::f16, Shape{2, 2}, {0.5, -2, 3, 65504});
  write_numbers(folder / "bool.h5", StoredType::i16, Shape{3, 1}, {0, 2, 1});
  const Dataset half = Dataset::load(one_field({}), {folder / "half.h5"});
  EXPECT_EQ(half.field("input").sample, (TensorSpec{Shape{2}, Dtype::f32}));
  EXPECT_EQ(half.field("input").values.as<float>()[3], 65504.0f);
  const Dataset labels = Dataset::load(one_field({.classes = 3, .target = true}), {folder / "bool.h5"});
  EXPECT_EQ(labels.field("input").sample, (TensorSpec{Shape{}, Dtype::i64}));
  EXPECT_EQ(labels.field("input").values.as<std::int64_t>()[1], 2);
}

TEST(DatasetTest, ReadsOneHotRowsAsLabels) {
  const TemporaryDirectory folder;
  write_numbers(folder / "a.h5", StoredType::f32, Shape{2, 3}, {0, 0, 1, 1, 0, 0});
  const Dataset data = Dataset::load(one_field({.classes = 3, .target = true}), {folder / "a.h5"});
  EXPECT_EQ(data.field("input").values.as<std::int64_t>()[0], 2);
  EXPECT_EQ(data.field("input").values.as<std::int64_t>()[1], 0);
  write_numbers(folder / "b.h5", StoredType::f32, Shape{2, 3}, {0, 0, 1, 0.5, 0.5, 0});
  expect_error(ErrorKind::content, "\"/x\": index 1: expected a one-hot row of 3 classes",
               [&] { Dataset::load(one_field({.classes = 3, .target = true}), {folder / "b.h5"}); });
}

TEST(DatasetTest, LabelsOutOfRangeAreNamed) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{12, 1, 1, 1});
  expect_error(ErrorKind::content, "a.h5\": \"/train/labels\": label 9 at index 9: expected 0 to 8 (classes = 9)",
               [&] { Dataset::load(image_options(9), {(folder / "a.h5") + ":/train"}); });
}

TEST(DatasetTest, FloatLabelsAreRefused) {
  const TemporaryDirectory folder;
  write_numbers(folder / "a.h5", StoredType::f32, Shape{2}, {0, 1});
  expect_error(ErrorKind::content, "labels: expected integers, or one-hot rows [3], got f32 []",
               [&] { Dataset::load(one_field({.classes = 3, .target = true}), {folder / "a.h5"}); });
}

TEST(DatasetTest, NumbersThatAreNotFiniteAreNamed) {
  const TemporaryDirectory folder;
  write_numbers(folder / "a.h5", StoredType::f64, Shape{3, 2}, {0, 1, 2, 3, 4, 1e300});
  expect_error(ErrorKind::content, "\"/x\": inf at index 2: expected finite numbers",
               [&] { Dataset::load(one_field({}), {folder / "a.h5"}); });
}

TEST(DatasetTest, MissingDatasetsAreNamedWithWhatIsThere) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{2, 1, 1, 1});
  DataOptions options = image_options();
  options.fields[0].dataset = "image";
  expect_error(ErrorKind::content, "\"/train\": no dataset \"image\"; did you mean \"images\"",
               [&] { Dataset::load(options, {(folder / "a.h5") + ":/train"}); });
  expect_error(ErrorKind::content, "\"/test\": not in the file", [&] { Dataset::load(image_options(), {(folder / "a.h5") + ":/test"}); });
  expect_error(ErrorKind::io, "b.h5\": cannot be opened: No such file or directory",
               [&] { Dataset::load(image_options(), {folder / "b.h5"}); });
}

TEST(DatasetTest, CountsThatDifferAreNamed) {
  const TemporaryDirectory folder;
  Hdf5File file = Hdf5File::create(folder / "a.h5", Hdf5Format::v18);
  const std::vector<std::uint8_t> bytes(8);
  file.root().create_dataset("images", Dtype::u8, Shape{4, 2}).write(bytes.data(), Dtype::u8);
  file.root().create_dataset("labels", Dtype::u8, Shape{3}).write(bytes.data(), Dtype::u8);
  file.close();
  expect_error(ErrorKind::content, "\"/labels\": samples: expected 4 as in \"/images\", got 3",
               [&] { Dataset::load(image_options(), {folder / "a.h5"}); });
}

TEST(DatasetTest, FilesThatDisagreeAreNamed) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{2, 2, 2, 1});
  write_images(folder / "b.h5", Shape{2, 2, 3, 1});
  expect_error(ErrorKind::content, "samples: expected [2, 2, 1] u8 as in ", [&] {
    Dataset::load(image_options(), {(folder / "a.h5") + ":/train", (folder / "b.h5") + ":/train"});
  });
}

TEST(DatasetTest, SetsThatDoNotFitInMemoryAreRefusedWithTheBytes) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{10, 4, 4, 1});
  DataOptions options = image_options();
  options.memory_bytes = 239;
  expect_error(ErrorKind::run_file, "needs 240 bytes in memory on every rank: expected at most 239",
               [&] { Dataset::load(options, {(folder / "a.h5") + ":/train"}); });
  options.memory_bytes = 240;
  EXPECT_EQ(Dataset::load(options, {(folder / "a.h5") + ":/train"}).samples(), 10);
}

TEST(DatasetTest, TruncatedFilesAreRefused) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{10, 4, 4, 1});
  std::filesystem::resize_file(folder / "a.h5", std::filesystem::file_size(folder / "a.h5") / 2);
  expect_error(ErrorKind::content, "a.h5\": not a whole HDF5 file",
               [&] { Dataset::load(image_options(), {(folder / "a.h5") + ":/train"}); });
}

TEST(DatasetTest, StandardizesByChannel) {
  const TemporaryDirectory folder;
  write_numbers(folder / "f.h5", StoredType::f32, Shape{5, 2}, {1, 5, 2, 5, 4, 5, 8, 5, 16, 5});
  write_numbers(folder / "u.h5", StoredType::u8, Shape{5, 2}, {1, 5, 2, 5, 4, 5, 8, 5, 16, 5});
  for (const char* name : {"f.h5", "u.h5"}) {
    const Dataset data = Dataset::load(one_field({.scale = DataScale::standardize}), {folder / name});
    // scikit-learn 1.2.1: StandardScaler().fit([[1, 5], [2, 5], [4, 5], [8, 5], [16, 5]]).mean_ and .scale_
    EXPECT_DOUBLE_EQ(data.scalers()[0].mean[0], 6.2);
    EXPECT_DOUBLE_EQ(data.scalers()[0].deviation[0], 5.455272678794342);
    EXPECT_DOUBLE_EQ(data.scalers()[0].mean[1], 5.0);
    EXPECT_DOUBLE_EQ(data.scalers()[0].deviation[1], 1.0);
  }
}

TEST(DatasetTest, TakesTheScalerOfTheFileAndOfTheTrainingSet) {
  const TemporaryDirectory folder;
  Hdf5File file = Hdf5File::create(folder / "a.h5", Hdf5Format::v18);
  const std::vector<double> values{1, 2, 3, 4};
  Hdf5Dataset written = file.root().create_dataset("x", Dtype::f32, Shape{2, 2});
  written.write(values.data(), Dtype::f64);
  written.set_attribute("mean", std::vector<double>{10, 20});
  written.set_attribute("std", std::vector<double>{2, 4});
  file.close();
  const DataOptions options = one_field({.scale = DataScale::standardize});
  EXPECT_EQ(Dataset::load(options, {folder / "a.h5"}).scalers()[0], (Scaler{{10, 20}, {2, 4}}));
  const std::vector<Scaler> training{{{1, 1}, {3, 3}}};
  EXPECT_EQ(Dataset::load(options, {folder / "a.h5"}, training).scalers()[0], training[0]);
}

TEST(DatasetTest, ScalersThatMakeNoSenseAreRefused) {
  const TemporaryDirectory folder;
  const auto write = [&](const std::string& name, std::vector<double> mean, std::vector<double> deviation) {
    Hdf5File file = Hdf5File::create(folder / name, Hdf5Format::v18);
    const std::vector<double> values{1, 2, 3, 4};
    file.root().create_dataset("x", Dtype::f32, Shape{2, 2}).write(values.data(), Dtype::f64);
    file.root().set_attribute("mean", mean);
    file.root().set_attribute("std", deviation);
    file.close();
  };
  write("zero.h5", {1, 2}, {1, 0});
  write("three.h5", {1, 2, 3}, {1, 1, 1});
  const DataOptions options = one_field({.scale = DataScale::standardize});
  expect_error(ErrorKind::content, "expected a finite mean and a positive deviation, got 2 and 0",
               [&] { Dataset::load(options, {folder / "zero.h5"}); });
  expect_error(ErrorKind::content, "expected 2 numbers each, got 3 and 3", [&] { Dataset::load(options, {folder / "three.h5"}); });
}

TEST(DatasetTest, DigestTellsDataSetsApart) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{4, 2, 3, 1});
  write_images(folder / "b.h5", Shape{4, 3, 2, 1});
  const auto digest = [&](const std::string& name) { return Dataset::load(image_options(), {(folder / name) + ":/train"}).digest(); };
  EXPECT_EQ(digest("a.h5"), digest("a.h5"));
  EXPECT_NE(digest("a.h5"), digest("b.h5"));
}

TEST(DatasetTest, AFileMustHoldWhatIsDeclared) {
  const TemporaryDirectory folder;
  write_images(folder / "a.h5", Shape{4, 2, 3, 1});
  const auto load = [&](const Shape& shape, StoredType type) {
    DataOptions options = image_options();
    options.fields[0].shape = shape;
    options.fields[0].type = type;
    return Dataset::load(options, {(folder / "a.h5") + ":/train"});
  };
  EXPECT_EQ(load(Shape{2, 3, 1}, StoredType::u8).field("input").sample.shape, (Shape{2, 3, 1}));
  expect_error(ErrorKind::content, "a.h5\": \"/train/images\": samples: expected [224, 224, 3] as the run file's \"shape\" says, got [2, 3, 1]",
               [&] { load(Shape{224, 224, 3}, StoredType::u8); });
  expect_error(ErrorKind::content, "/train/images\": element type: expected f32 as the run file's \"dtype\" says, got u8",
               [&] { load(Shape{2, 3, 1}, StoredType::f32); });
}

TEST(DatasetTest, GivenScalesTakeBytesAsZeroToOneAndFloatsAsTheyAre) {
  const TemporaryDirectory folder;
  write_numbers(folder / "bytes.h5", StoredType::u8, Shape{1, 2}, {0, 255});
  write_numbers(folder / "floats.h5", StoredType::f32, Shape{1, 2}, {0, 255});
  DataField field{.scale = DataScale::given};
  field.mean = {0.5, 0.25};
  field.std = {0.25, 2};
  EXPECT_EQ(Dataset::load(one_field(field), {folder / "bytes.h5"}).field("input").scaler, (Scaler{{127.5, 63.75}, {63.75, 510}}));
  EXPECT_EQ(Dataset::load(one_field(field), {folder / "floats.h5"}).field("input").scaler, (Scaler{{0.5, 0.25}, {0.25, 2}}));
  field.mean = field.std = {1, 2, 3};
  expect_error(ErrorKind::run_file, "[data] field \"input\": \"scale\": expected one number, or 2 (one a channel), got 3",
               [&] { Dataset::load(one_field(field), {folder / "bytes.h5"}); });
}

TEST(DatasetTest, NoiseIsWhatTheDeclarationsSay) {
  DataOptions options = image_options();
  EXPECT_FALSE(Dataset::noise(options, 0));
  options.fields[0].shape = Shape{3, 8, 16};
  options.fields[0].layout = DataLayout::nchw;
  options.fields[0].scale = DataScale::unit;
  EXPECT_EQ(Dataset::noise(options, 0)->batch_fields(Dtype::bf16)[0].spec, (TensorSpec{Shape{8, 16, 3}, Dtype::bf16}));
  EXPECT_EQ(Dataset::noise(options, 5)->field("input").sample.dtype, Dtype::f32);
  options.fields[0].type = StoredType::u8;
  const auto noise = Dataset::noise(options, 40);
  const DatasetField &input = noise->field("input"), &target = noise->field("target");
  EXPECT_EQ(noise->samples(), 40);
  EXPECT_EQ(input.values.spec(), (TensorSpec{Shape{40, 8, 16, 3}, Dtype::u8}));
  EXPECT_EQ(input.scaler, (Scaler{{0}, {255}}));
  EXPECT_EQ(target.values.spec(), (TensorSpec{Shape{40}, Dtype::i64}));
  double sum = 0;
  for (std::int64_t i = 0; i < input.values.spec().elements(); ++i) sum += input.values.as<std::uint8_t>()[i];
  EXPECT_NEAR(sum / static_cast<double>(input.values.spec().elements()), 127.5, 3);
  for (std::int64_t i = 0; i < 40; ++i) EXPECT_TRUE(target.values.as<std::int64_t>()[i] >= 0 && target.values.as<std::int64_t>()[i] < 10);
}

}  // namespace
}  // namespace lockstep
