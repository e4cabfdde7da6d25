#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "io/data_options.h"
#include "io/hdf5.h"

namespace lockstep::testing {

/// Writes a group with "images" (u8 of `shape`, bytes counting up from `start`) and "labels" (i64, index modulo 10).
inline void write_images(const std::string& path, const Shape& shape, const std::string& group = "train", std::uint8_t start = 0) {
  Hdf5File file = Hdf5File::create(path, Hdf5Format::v18);
  Hdf5Group part = file.root().create_group(group);
  std::vector<std::uint8_t> images(static_cast<std::size_t>(shape.elements()));
  std::iota(images.begin(), images.end(), start);
  part.create_dataset("images", Dtype::u8, shape).write(images.data(), Dtype::u8);
  std::vector<std::int64_t> labels(static_cast<std::size_t>(shape[0]));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int64_t>(i % 10);
  part.create_dataset("labels", Dtype::i64, Shape{shape[0]}).write(labels.data(), Dtype::i64);
  file.close();
}

/// One dataset "x" in a new file, from doubles.
inline void write_numbers(const std::string& path, StoredType type, const Shape& shape, const std::vector<double>& values,
                          const std::string& name = "x") {
  Hdf5File file = Hdf5File::create(path, Hdf5Format::v18);
  file.root().create_dataset(name, type, shape).write(values.data(), Dtype::f64);
  file.close();
}

inline DataOptions image_options(std::int64_t classes = 10) {
  DataOptions options;
  options.fields = {{.name = "input", .dataset = "images", .layout = DataLayout::nhwc},
                    {.name = "target", .dataset = "labels", .classes = classes, .target = true}};
  options.memory_bytes = 1 << 20;
  return options;
}

inline void expect_error(ErrorKind kind, const std::string& part, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "no error; expected: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nexpected: " << part;
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

}  // namespace lockstep::testing
