#include "io/convert.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/hash.h"
#include "io/dataset.h"
#include "io/idx_file.h"
#include "tests/io/data_file.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::TemporaryDirectory;

void write_bytes(const std::string& path, const std::vector<int>& bytes) {
  std::ofstream file(path, std::ios::binary);
  for (const int byte : bytes) file.put(static_cast<char>(byte));
}

std::vector<int> idx(int type, const std::vector<int>& extents, const std::vector<int>& values) {
  std::vector<int> bytes{0, 0, type, static_cast<int>(extents.size())};
  for (const int extent : extents) bytes.insert(bytes.end(), {0, 0, extent / 256, extent % 256});
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

// gzip of an IDX list of u8 3, 1, 2, written by Python 3.11.2 (gzip.compress, mtime=0).
const std::vector<int> kGzip{0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x60, 0xe0, 0x60, 0x64, 0x60,
                             0x60, 0x60, 0x66, 0x66, 0x64, 0x02, 0x00, 0xb0, 0x52, 0x13, 0xfb, 0x0b, 0x00, 0x00, 0x00};

TEST(IdxTest, ReadsEveryElementType) {
  const TemporaryDirectory folder;
  const std::string path = folder / "a";
  write_bytes(path, idx(0x09, {2}, {0xFF, 5}));
  EXPECT_EQ(read_idx(path).as<std::int32_t>()[0], -1);
  write_bytes(path, idx(0x0B, {2}, {0xFF, 0xFE, 1, 0}));
  EXPECT_EQ(read_idx(path).as<std::int32_t>()[0], -2);
  EXPECT_EQ(read_idx(path).as<std::int32_t>()[1], 256);
  write_bytes(path, idx(0x0C, {1, 1}, {0, 1, 0, 2}));
  EXPECT_EQ(read_idx(path).as<std::int32_t>()[0], 65538);
  write_bytes(path, idx(0x0D, {1}, {0x3F, 0xC0, 0, 0}));
  EXPECT_EQ(read_idx(path).as<float>()[0], 1.5f);
  write_bytes(path, idx(0x0E, {1}, {0xC0, 0x04, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(read_idx(path).as<double>()[0], -2.5);
}

TEST(IdxTest, ReadsGzip) {
  const TemporaryDirectory folder;
  write_bytes(folder / "a.gz", kGzip);
  const Tensor labels = to_labels(read_idx(folder / "a.gz"), "a.gz");
  EXPECT_EQ(labels.spec(), (TensorSpec{Shape{3}, Dtype::i64}));
  EXPECT_EQ(labels.as<std::int64_t>()[0], 3);
  EXPECT_EQ(labels.as<std::int64_t>()[2], 2);
}

TEST(IdxTest, BadFilesAreNamed) {
  const TemporaryDirectory folder;
  const std::string path = folder / "a";
  const auto refuse = [&](std::vector<int> bytes, const std::string& text) {
    write_bytes(path, bytes);
    expect_error(ErrorKind::content, "a\": " + text, [&] { read_idx(path); });
  };
  refuse({1, 0, 8, 1, 0, 0, 0, 1, 5}, "not an IDX file: expected two zero bytes first, got 01 00");
  refuse(idx(0x07, {1}, {5}), "IDX type 0x07: expected 08, 09, 0B, 0C, 0D or 0E");
  refuse(idx(0x08, {}, {}), "IDX rank: expected 1 to 8, got 0");
  refuse(idx(0x08, {3}, {5, 6}), "ends too early: expected 1 more bytes");
  refuse(idx(0x08, {1}, {5, 6}), "expected its end, got more bytes than its header says");
  refuse(idx(0x0E, {60000, 60000}, {}), "its header promises 28800000000 bytes, more than the file can hold");
  for (const std::size_t byte : {20, 24}) {  // a value, the check sum
    std::vector<int> flipped = kGzip;
    flipped[byte] ^= 4;
    refuse(flipped, "damaged: zlib: ");
  }
  expect_error(ErrorKind::io, "none\": cannot be opened: No such file or directory", [&] { read_idx(folder / "none"); });
}

class ConvertTest : public ::testing::Test {
 protected:
  void write_set(const std::string& prefix, const std::vector<int>& pixels, const std::vector<int>& labels,
                 const std::string& images_end = "-images", const std::string& labels_end = "-labels") {
    const int count = static_cast<int>(labels.size());
    write_bytes(folder_ / (prefix + images_end), idx(0x08, {count, 1, static_cast<int>(pixels.size()) / count}, pixels));
    write_bytes(folder_ / (prefix + labels_end), idx(0x08, {count}, labels));
  }
  ConvertReport convert_idx() { return convert_file("idx", {folder_ / "a-images", folder_ / "a-labels"}, folder_ / "out.h5"); }

  TemporaryDirectory folder_;
};

TEST_F(ConvertTest, IdxBecomesADataSet) {
  write_set("a", {1, 3, 5, 7, 0, 2}, {1, 0, 2});
  const ConvertReport report = convert_idx();
  EXPECT_EQ(report.classes, 3);
  EXPECT_EQ(report.bytes, fs::file_size(folder_ / "out.h5"));
  ASSERT_EQ(report.datasets.size(), 2u);
  EXPECT_EQ(report.datasets[0].path, "/train/images");
  EXPECT_EQ(report.datasets[0].spec, (TensorSpec{Shape{3, 1, 2, 1}, Dtype::u8}));

  DataOptions options = testing::image_options(3);
  options.fields[0].scale = DataScale::standardize;
  const Dataset data = Dataset::load(options, {(folder_ / "out.h5") + ":/train"});
  EXPECT_EQ(data.samples(), 3);
  EXPECT_EQ(data.scalers()[0].mean, std::vector<double>{3.0});
  const Hdf5File file = Hdf5File::open(folder_ / "out.h5");
  EXPECT_EQ(file.root().text_attribute("format"), "lockstep/1");
  EXPECT_EQ(file.root().group("train").integer_attribute("classes"), 3);
  EXPECT_EQ(file.root().dataset("train/images").real_attribute("mean"), 3.0);
  const std::vector<std::uint8_t> pixels{1, 3, 5, 7, 0, 2};
  EXPECT_EQ(file.root().dataset("train/images").text_attribute("xxh3_128"), digest_hex(pixels.data(), pixels.size()));
}

TEST_F(ConvertTest, ChangedBytesAreFoundAtLoad) {
  std::vector<int> pixels(300, 0xA5);
  write_set("a", pixels, {1, 0, 2});
  convert_idx();
  std::string bytes(fs::file_size(folder_ / "out.h5"), '\0');
  std::ifstream(folder_ / "out.h5", std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes[bytes.find(std::string(300, '\xA5')) + 7] ^= 1;
  std::ofstream(folder_ / "out.h5", std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  expect_error(ErrorKind::content, "\"/train/images\": damaged, or changed since it was written: expected xxh3_128 ",
               [&] { Dataset::load(testing::image_options(3), {(folder_ / "out.h5") + ":/train"}); });
}

TEST_F(ConvertTest, MistakesAreNamedAndLeaveNoFile) {
  write_set("a", {1, 3, 5, 7}, {1, 0});
  const std::string images = folder_ / "a-images", labels = folder_ / "a-labels", out = folder_ / "out.h5";
  expect_error(ErrorKind::usage, "convert idx: expected IMAGES LABELS and the output, got 1 before the output",
               [&] { convert_file("idx", {images}, out); });
  expect_error(ErrorKind::usage, "convert fashion-mnist: expected no files and the output",
               [&] { convert_file("fashion-mnist", {images}, out); });
  expect_error(ErrorKind::run_file, "unknown converter \"mnist\"", [&] { convert_file("mnist", {}, out); });
  expect_error(ErrorKind::content, "labels: expected a list of integers, got [2, 1, 2] u8", [&] {
    convert_file("idx", {images, images}, out);
  });
  expect_error(ErrorKind::content, "images: expected [n, height, width], got [2] u8", [&] { convert_file("idx", {labels, labels}, out); });
  write_bytes(labels, idx(0x08, {3}, {0, 0, 0}));
  expect_error(ErrorKind::content, "expected as many labels as images, got images [2, 1, 2, 1] and labels [3]", [&] {
    convert_file("idx", {images, labels}, out);
  });
  write_bytes(labels, idx(0x09, {2}, {0, 0xFF}));
  expect_error(ErrorKind::content, "label -1 at index 1: expected 0 or more", [&] { convert_file("idx", {images, labels}, out); });
  EXPECT_FALSE(fs::exists(out));
  write_bytes(out, {1});
  write_bytes(labels, idx(0x08, {2}, {0, 1}));
  expect_error(ErrorKind::usage, "out.h5\" exists already", [&] { convert_file("idx", {images, labels}, out); });
}

TEST_F(ConvertTest, FashionMnistTakesBothSplitsAndTheTrainingSetsScaler) {
  const std::string images = "-images-idx3-ubyte.gz", labels = "-labels-idx1-ubyte.gz";
  write_set("train", {10, 30, 20, 20}, {9, 0}, images, labels);
  Value options;
  options.set("folder", Value::text(folder_.path().string()));
  expect_error(ErrorKind::io, "t10k-images-idx3-ubyte.gz\" is not there: install it with `apt-get install dataset-fashion-mnist`",
               [&] { convert_file("fashion-mnist", {}, folder_ / "f.h5", options); });
  write_set("t10k", {1, 2}, {3}, images, labels);
  EXPECT_EQ(convert_file("fashion-mnist", {}, folder_ / "f.h5", options).classes, 10);
  const Hdf5File file = Hdf5File::open(folder_ / "f.h5");
  EXPECT_EQ(file.root().group("test").texts_attribute("class_names")[9], "Ankle boot");
  EXPECT_EQ(file.root().dataset("test/images").real_attribute("mean"), 20.0);
  write_set("t10k", {1, 2}, {10}, images, labels);
  expect_error(ErrorKind::content, "\"test\": label 10 at index 0: expected 0 to 9",
               [&] { convert_file("fashion-mnist", {}, folder_ / "g.h5", options); });
}

TEST(FashionMnistTest, ThePackageHasTheKnownPixels) {
  ASSERT_TRUE(fs::exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")) << "launch/test.sh installs dataset-fashion-mnist";
  const TemporaryDirectory folder;
  const ConvertReport report = convert_file("fashion-mnist", {}, folder / "f.h5");
  EXPECT_EQ(report.datasets[0].spec, (TensorSpec{Shape{60000, 28, 28, 1}, Dtype::u8}));
  EXPECT_EQ(report.datasets[2].spec, (TensorSpec{Shape{10000, 28, 28, 1}, Dtype::u8}));
  const Hdf5File file = Hdf5File::open(folder / "f.h5");
  // numpy 1.24.2 over the package's files: mean and std of the training images; 0.2860, 0.3530 after / 255.
  EXPECT_NEAR(file.root().dataset("train/images").real_attribute("mean"), 72.94035223214286, 1e-10);
  EXPECT_NEAR(file.root().dataset("train/images").real_attribute("std"), 90.02118235130519, 1e-10);
}

}  // namespace
}  // namespace lockstep
