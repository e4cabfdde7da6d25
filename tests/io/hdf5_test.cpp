#include "io/hdf5.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>

#include "core/base/error.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

class Hdf5Test : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / (std::string("lockstep_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    path_ = (folder_ / "f.h5").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A file with /a/x (i32 [4, 3], 0..11), written by our own wrapper.
  void write_simple(const Hdf5Storage& storage = {}, Hdf5Format format = Hdf5Format::v18) {
    Hdf5File file = Hdf5File::create(path_, format);
    std::vector<std::int32_t> values(12);
    std::iota(values.begin(), values.end(), 0);
    file.root().create_dataset("a/x", Dtype::i32, Shape{4, 3}, storage).write(values.data(), Dtype::i32);
    file.close();
  }

  /// Lets `make` use the C API on a fresh file.
  void write_raw(const std::function<void(hid_t)>& make) {
    const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    make(file);
    H5Fclose(file);
  }

  void expect_error(ErrorKind kind, const std::string& part, const std::function<void()>& action) {
    try {
      action();
      ADD_FAILURE() << "no error; expected: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  void expect_refused(const std::string& dataset, const std::string& part) {
    expect_error(ErrorKind::content, part, [&] { Hdf5File::open(path_).root().dataset(dataset); });
  }

  fs::path folder_;
  std::string path_;
};

TEST_F(Hdf5Test, WritesAndReadsRows) {
  write_simple({.chunk = Shape{2, 3}, .shuffle = true, .deflate = 4, .fletcher32 = true}, Hdf5Format::v110);
  const Hdf5File file = Hdf5File::open(path_);
  const Hdf5Dataset data = file.root().dataset("/a/x");
  EXPECT_EQ(data.shape(), (Shape{4, 3}));
  EXPECT_EQ(data.type(), StoredType::i32);
  EXPECT_EQ(data.storage().text(), "chunked [2, 3], shuffle, deflate 4, fletcher32");
  std::vector<std::int64_t> rows(6);
  data.read(rows.data(), Dtype::i64, 1, 2);
  EXPECT_EQ(rows, (std::vector<std::int64_t>{3, 4, 5, 6, 7, 8}));
  std::vector<float> all(12);
  file.root().group("a").dataset("x").read(all.data(), Dtype::f32);
  EXPECT_EQ(all[11], 11.0f);
}

TEST_F(Hdf5Test, KeepsAttributes) {
  Hdf5File file = Hdf5File::create(path_, Hdf5Format::v18);
  file.root().set_attribute("classes", 10);
  file.root().set_attribute("rate", 0.25);
  file.root().set_attribute("name", "fashion");
  file.root().set_attribute("empty", "");
  file.root().set_attribute("names", std::vector<std::string>{"Bag", "Coat", ""});
  file.root().set_attribute("mean", std::vector<double>{0.5, 2.0});
  file.root().set_attribute("classes", 11);
  file.close();
  const Hdf5File read = Hdf5File::open(path_);
  EXPECT_EQ(read.root().integer_attribute("classes"), 11);
  EXPECT_EQ(read.root().real_attribute("rate"), 0.25);
  EXPECT_EQ(read.root().text_attribute("name"), "fashion");
  EXPECT_EQ(read.root().text_attribute("empty"), "");
  EXPECT_EQ(read.root().texts_attribute("names"), (std::vector<std::string>{"Bag", "Coat", ""}));
  EXPECT_EQ(read.root().reals_attribute("mean"), (std::vector<double>{0.5, 2.0}));
  EXPECT_EQ(read.root().describe_attribute("names"), "[\"Bag\", \"Coat\", \"\"]");
  expect_error(ErrorKind::content, "attribute \"none\": is missing", [&] { read.root().integer_attribute("none"); });
  expect_error(ErrorKind::content, "expected integers, got another type", [&] { read.root().integer_attribute("name"); });
  expect_error(ErrorKind::content, "expected one value, got 2", [&] { read.root().real_attribute("mean"); });
}

TEST_F(Hdf5Test, KeepsBfloat16Bits) {
  const std::vector<std::uint16_t> bits{0x3f80, 0x7fc1, 0x8000};
  Hdf5File file = Hdf5File::create(path_, Hdf5Format::v110);
  file.root().create_dataset("w", Dtype::bf16, Shape{3}).write(bits.data(), Dtype::bf16);
  file.close();
  std::vector<std::uint16_t> back(3);
  Hdf5File::open(path_).root().dataset("w").read(back.data(), Dtype::bf16);
  EXPECT_EQ(back, bits);
}

TEST_F(Hdf5Test, MissingFileIsAnIoError) {
  expect_error(ErrorKind::io, "none.h5\": cannot be opened: No such file or directory",
               [&] { Hdf5File::open((folder_ / "none.h5").string()); });
}

TEST_F(Hdf5Test, RefusesToOverwrite) {
  write_simple();
  expect_error(ErrorKind::io, "cannot be created", [&] { write_simple(); });
}

TEST_F(Hdf5Test, TruncatedFileIsAContentError) {
  write_simple();
  fs::resize_file(path_, fs::file_size(path_) - 1);
  expect_error(ErrorKind::content, "not a whole HDF5 file (HDF5: truncated file", [&] { Hdf5File::open(path_); });
}

TEST_F(Hdf5Test, FlippedMagicIsAContentError) {
  write_simple();
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(1);
  file.put('h');
  file.close();
  expect_error(ErrorKind::content, "file signature not found", [&] { Hdf5File::open(path_); });
}

TEST_F(Hdf5Test, FlippedDataIsFoundByFletcher32) {
  Hdf5File file = Hdf5File::create(path_, Hdf5Format::v110);
  const std::vector<std::uint8_t> values(4096, 0xA5);
  file.root().create_dataset("x", Dtype::u8, Shape{4096}, {.chunk = Shape{4096}, .fletcher32 = true}).write(values.data(), Dtype::u8);
  file.close();
  std::string bytes(fs::file_size(path_), '\0');
  std::ifstream(path_, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes[bytes.find(std::string(100, '\xA5')) + 50] ^= 1;
  std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  std::vector<std::uint8_t> back(4096);
  expect_error(ErrorKind::content,
               "\"/x\": cannot be read (HDF5: ", [&] { Hdf5File::open(path_).root().dataset("x").read(back.data(), Dtype::u8); });
}

TEST_F(Hdf5Test, MissingDatasetIsNamed) {
  write_simple();
  expect_refused("/a/y", "\"/a/y\": not in the file");
  expect_refused("/b/x", "\"/b\": not in the file");
  expect_refused("/a", "\"/a\": expected a dataset, got a group");
  expect_refused("/a/x/z", "\"/a/x/z\": its parent is no group");
  expect_refused("/a/../a/x", "\"..\" is not a name");
}

TEST_F(Hdf5Test, RefusesLinksThatAreNotHard) {
  write_simple();
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  H5Lcreate_soft("/a/x", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/a", file, "softgroup", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external("other.h5", "/x", file, "external", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(file, "/a", file, "hard", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(file);
  expect_refused("/soft", "\"/soft\": a soft link: expected a dataset or group of this very file");
  expect_refused("/softgroup/x", "\"/softgroup\": a soft link");
  expect_refused("/external", "\"/external\": an external link");
  const Hdf5File open = Hdf5File::open(path_);
  EXPECT_EQ(open.root().dataset("/hard/x").shape(), (Shape{4, 3}));
  ASSERT_EQ(open.root().entries().size(), 5u);
  EXPECT_EQ(open.root().entries()[0].kind, Hdf5Kind::group);
  EXPECT_EQ(open.root().entries()[1].kind, Hdf5Kind::other);
}

TEST_F(Hdf5Test, RefusesStorageOutsideTheFile) {
  write_raw([&](hid_t file) {
    const hsize_t extent = 4;
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    const hid_t external = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(external, "/etc/hostname", 0, 4);
    H5Dclose(H5Dcreate2(file, "external", H5T_STD_U8LE, space, H5P_DEFAULT, external, H5P_DEFAULT));
    const hid_t mapped = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(mapped, space, "other.h5", "/x", space);
    H5Dclose(H5Dcreate2(file, "virtual", H5T_STD_U8LE, space, H5P_DEFAULT, mapped, H5P_DEFAULT));
    const hid_t compact = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(compact, H5D_COMPACT);
    H5Dclose(H5Dcreate2(file, "compact", H5T_STD_U8LE, space, H5P_DEFAULT, compact, H5P_DEFAULT));
    H5Pclose(external), H5Pclose(mapped), H5Pclose(compact), H5Sclose(space);
  });
  expect_refused("/external", "external storage");
  expect_refused("/virtual", "a virtual dataset");
  expect_refused("/compact", "expected contiguous or chunked, got compact");
}

TEST_F(Hdf5Test, RefusesForeignFiltersTypesAndRanks) {
  write_raw([&](hid_t file) {
    const hsize_t extents[9] = {4, 1, 1, 1, 1, 1, 1, 1, 1};
    const hid_t space = H5Screate_simple(1, extents, nullptr), deep = H5Screate_simple(9, extents, nullptr);
    const hid_t filtered = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(filtered, 1, extents);
    H5Pset_filter(filtered, 32001, H5Z_FLAG_OPTIONAL, 0, nullptr);
    H5Dclose(H5Dcreate2(file, "filtered", H5T_STD_U8LE, space, H5P_DEFAULT, filtered, H5P_DEFAULT));
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, H5T_VARIABLE);
    H5Dclose(H5Dcreate2(file, "text", text, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(file, "reference", H5T_STD_REF_OBJ, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(file, "deep", H5T_STD_U8LE, deep, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Pclose(filtered), H5Sclose(space), H5Sclose(deep), H5Tclose(text);
  });
  expect_refused("/filtered", "filter 32001: expected shuffle, deflate or fletcher32 alone");
  expect_refused("/text", "element type: expected integers of 8 to 64 bits, floats of 16 to 64 bits or booleans, got text");
  expect_refused("/reference", "element type");
  expect_refused("/deep", "rank: expected 0 to 8, got 9");
}

TEST_F(Hdf5Test, RefusesShapesThatPromiseMoreThanIsStored) {
  write_raw([&](hid_t file) {
    const hsize_t huge[3] = {1ull << 31, 1ull << 31, 1ull << 31}, big[1] = {1ull << 40}, chunk[1] = {1ull << 20}, wide[1] = {1ull << 30};
    const hid_t space = H5Screate_simple(3, huge, nullptr), flat = H5Screate_simple(1, big, nullptr);
    const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(chunked, 1, chunk);
    H5Dclose(H5Dcreate2(file, "bomb", H5T_STD_U8LE, flat, H5P_DEFAULT, chunked, H5P_DEFAULT));
    H5Pset_chunk(chunked, 1, wide);
    H5Dclose(H5Dcreate2(file, "chunk", H5T_STD_U8LE, flat, H5P_DEFAULT, chunked, H5P_DEFAULT));
    const hsize_t cube[3] = {16, 16, 16};
    H5Pset_chunk(chunked, 3, cube);
    H5Dclose(H5Dcreate2(file, "huge", H5T_STD_U8LE, space, H5P_DEFAULT, chunked, H5P_DEFAULT));
    H5Pclose(chunked), H5Sclose(space), H5Sclose(flat);
  });
  expect_refused("/bomb", "declares 1099511627776 bytes, stores 0: expected at most 1100 times as many");
  expect_refused("/chunk", "chunk: expected at most 256 MiB");
  expect_refused("/huge", "extents: more bytes than any memory holds");
}

TEST_F(Hdf5Test, ReadsWhatH5pyWrites) {
  write_raw([&](hid_t file) {
    const hsize_t extent = 3;
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    const hid_t boolean = H5Tenum_create(H5T_STD_I8LE);
    const signed char no = 0, yes = 1;
    H5Tenum_insert(boolean, "FALSE", &no);
    H5Tenum_insert(boolean, "TRUE", &yes);
    const signed char flags[3] = {1, 0, 1};
    const auto put = [&](const char* name, hid_t type, hid_t memory, const void* data) {
      const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
      H5Dclose(set);
    };
    const double reals[3] = {1.5, -2.0, 0.25};
    const std::int64_t integers[3] = {7, -1, 300};
    const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(half, 15, 10, 5, 0, 10);
    H5Tset_size(half, 2);
    H5Tset_ebias(half, 15);
    put("flags", boolean, boolean, flags);
    put("f16", half, H5T_NATIVE_DOUBLE, reals);
    put("f64", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, reals);
    put("i16be", H5T_STD_I16BE, H5T_NATIVE_INT64, integers);
    H5Tclose(boolean), H5Tclose(half), H5Sclose(space);
  });
  const Hdf5File file = Hdf5File::open(path_);
  std::vector<std::int64_t> integers(3);
  std::vector<float> reals(3);
  EXPECT_EQ(file.root().dataset("flags").type(), StoredType::boolean);
  file.root().dataset("flags").read(integers.data(), Dtype::i64);
  EXPECT_EQ(integers, (std::vector<std::int64_t>{1, 0, 1}));
  file.root().dataset("i16be").read(integers.data(), Dtype::i64);
  EXPECT_EQ(integers, (std::vector<std::int64_t>{7, -1, 300}));
  for (const char* name : {"f16", "f64"}) {
    file.root().dataset(name).read(reals.data(), Dtype::f32);
    EXPECT_EQ(reals, (std::vector<float>{1.5f, -2.0f, 0.25f})) << name;
  }
  expect_error(ErrorKind::content, "expected integers, got f64", [&] { file.root().dataset("f64").read(integers.data(), Dtype::i64); });
}

TEST(ChunkOfTest, FillsFromTheLastAxis) {
  EXPECT_EQ(chunk_of(Shape{60000, 28, 28, 1}, 1, 200704), (Shape{256, 28, 28, 1}));
  EXPECT_EQ(chunk_of(Shape{10}, 4, 1 << 20), (Shape{10}));
  EXPECT_EQ(chunk_of(Shape{8, 1000}, 4, 400), (Shape{1, 100}));
}

}  // namespace
}  // namespace lockstep
