#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace lockstep {

/// What the elements of a dataset are in the file. `boolean` is h5py's enum over int8; HDF5 has no bf16, so it is
/// u16 with the attribute dtype = "bfloat16", as Keras writes it.
enum class StoredType : std::uint8_t { i8, u8, i16, u16, i32, u32, i64, u64, f16, bf16, f32, f64, boolean };

std::string_view name_of(StoredType type);
std::size_t size_of(StoredType type);
bool is_integer(StoredType type);
StoredType stored_type(Dtype dtype);

/// How a dataset lies in the file. An empty chunk means contiguous, which takes no filters.
struct Hdf5Storage {
  Shape chunk;
  bool shuffle = false;
  int deflate = 0;  ///< level, 0 for none
  bool fletcher32 = false;
  std::string text() const;  ///< "chunked [256, 28, 28, 1], shuffle, deflate 4"
};

/// A chunk of whole trailing axes of about `target_bytes`; never empty. For shapes without a zero extent.
Shape chunk_of(const Shape& shape, std::size_t item_bytes, std::size_t target_bytes);

/// Which readers a new file is for. `v110` has checksums over all metadata: for checkpoints. `v18` opens in HDF5 1.8.
enum class Hdf5Format : std::uint8_t { v18, v110 };

/// Owner of one identifier of the library; closes it quietly. Move-only.
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  explicit Hdf5Handle(std::int64_t id) : id_(id) {}
  ~Hdf5Handle() { reset(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(other.id_) { other.id_ = -1; }
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept;
  std::int64_t id() const { return id_; }
  void reset();

 private:
  std::int64_t id_ = -1;
};

/// An open group or dataset, with its attributes: numbers and fixed-length text, scalars or short lists. Variable-
/// length text is not read. `content` errors for missing, oversized (64 KiB) or wrongly typed attributes.
class Hdf5Object {
 public:
  const std::string& file() const { return file_; }
  const std::string& path() const { return path_; }
  std::string where() const;  ///< `"file.h5": "/train/images"`, to begin a message

  bool has_attribute(std::string_view name) const;
  std::vector<std::string> attribute_names() const;
  std::int64_t integer_attribute(std::string_view name) const;
  double real_attribute(std::string_view name) const;
  std::string text_attribute(std::string_view name) const;
  std::vector<std::int64_t> integers_attribute(std::string_view name) const;
  std::vector<double> reals_attribute(std::string_view name) const;
  std::vector<std::string> texts_attribute(std::string_view name) const;
  /// The value as text for people: of any type, shortened.
  std::string describe_attribute(std::string_view name) const;

  void set_attribute(std::string_view name, std::int64_t value);
  void set_attribute(std::string_view name, double value);
  void set_attribute(std::string_view name, std::string_view value);
  void set_attribute(std::string_view name, const std::vector<std::int64_t>& values);
  void set_attribute(std::string_view name, const std::vector<double>& values);
  void set_attribute(std::string_view name, const std::vector<std::string>& values);
  void set_attribute(std::string_view name, const char* value) { set_attribute(name, std::string_view(value)); }
  void set_attribute(std::string_view name, int value) { set_attribute(name, std::int64_t{value}); }

 protected:
  Hdf5Object() = default;
  Hdf5Object(Hdf5Handle handle, std::string file, std::string path)
      : handle_(std::move(handle)), file_(std::move(file)), path_(std::move(path)) {}

  Hdf5Handle handle_;
  std::string file_, path_;
};

/// An open dataset of numbers. Elements are converted to what the caller asks for: integers of any width and h5py
/// booleans to each other and to floats, floats to each other. A float asked for as an integer is a `content` error.
class Hdf5Dataset : public Hdf5Object {
 public:
  Hdf5Dataset() = default;

  const Shape& shape() const { return shape_; }
  StoredType type() const { return type_; }
  const Hdf5Storage& storage() const { return storage_; }
  std::uint64_t stored_bytes() const { return stored_bytes_; }

  /// Rows [first, first + count) of the first axis into `out`, row-major. `content` error for damaged data.
  void read(void* out, Dtype as, std::int64_t first, std::int64_t count) const;
  void read(void* out, Dtype as) const;
  void write(const void* data, Dtype from, std::int64_t first, std::int64_t count);
  void write(const void* data, Dtype from);
  /// Checks what the library says on closing, which a destructor cannot.
  void close();

 private:
  friend class Hdf5Group;
  void transfer(bool reading, void* memory, Dtype dtype, std::int64_t first, std::int64_t count) const;

  Shape shape_;
  StoredType type_ = StoredType::f32;
  Hdf5Storage storage_;
  std::uint64_t stored_bytes_ = 0;
};

enum class Hdf5Kind : std::uint8_t { group, dataset, other };
struct Hdf5Entry {
  std::string name;
  Hdf5Kind kind;  ///< `other`: a link that is not hard, or a named type
};

/// An open group. Paths are relative to it, or absolute; each component must be a hard link of this very file, and a
/// dataset must pass the rules against hostile files (hdf5_open.cpp). Everything else is a `content` error.
class Hdf5Group : public Hdf5Object {
 public:
  Hdf5Group() = default;

  bool contains(std::string_view path) const;
  std::vector<Hdf5Entry> entries() const;  ///< by name; at most 100,000
  Hdf5Group group(std::string_view path) const;
  Hdf5Dataset dataset(std::string_view path) const;

  Hdf5Group create_group(std::string_view name);
  Hdf5Dataset create_dataset(std::string_view name, StoredType type, const Shape& shape, const Hdf5Storage& storage = {});
  Hdf5Dataset create_dataset(std::string_view name, Dtype dtype, const Shape& shape, const Hdf5Storage& storage = {}) {
    return create_dataset(name, stored_type(dtype), shape, storage);
  }

 protected:
  friend class Hdf5File;
  using Hdf5Object::Hdf5Object;
};

/// An open file and its root group. The library is serial but thread-safe: calls from any thread, one at a time.
/// `io` errors for what the file system refuses, `content` for what is no (whole) HDF5 file.
class Hdf5File {
 public:
  static Hdf5File open(const std::string& path);
  /// Refuses to overwrite.
  static Hdf5File create(const std::string& path, Hdf5Format format);
  /// Files in memory alone; `name` serves for messages. `open_in_memory` borrows the image.
  static Hdf5File create_in_memory(const std::string& name, Hdf5Format format);
  static Hdf5File open_in_memory(const std::string& name, std::span<const std::byte> image);

  const std::string& path() const { return path_; }
  Hdf5Group& root() { return root_; }
  const Hdf5Group& root() const { return root_; }
  /// Flushes and closes everything that is open in the file, checked. It does not sync: see atomic_file.h.
  void close();
  /// Closes a file made in memory; its bytes stay valid as long as this object.
  std::span<const std::byte> close_to_image();

 private:
  /// Memory that the library writes an image to or reads one from, handed to its callbacks.
  struct Image {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
    bool borrowed = false;
    ~Image();
  };
  static Hdf5Handle memory_access(Image& image, const std::string& where);

  Hdf5File() = default;
  std::unique_ptr<Image> image_;  // outlives the handle
  std::string path_;
  Hdf5Handle handle_;
  Hdf5Group root_;
};

}  // namespace lockstep
