#include "io/idx_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "core/base/error.h"

namespace lockstep {
namespace {

/// A file that zlib reads, plain or gzipped.
class GzipFile {
 public:
  explicit GzipFile(const std::string& path) : path_(path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(ErrorKind::io, "\"{}\": cannot be opened: {}", path, std::strerror(errno));
    file_ = gzdopen(descriptor, "rb");
    if (!file_) {
      ::close(descriptor);
      fail(ErrorKind::io, "\"{}\": zlib cannot open it", path);
    }
    gzbuffer(file_, 1 << 18);
  }
  ~GzipFile() { gzclose_r(file_); }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  /// Reads all of `bytes`, or says how the file is short.
  void read(void* out, std::size_t bytes) {
    auto* to = static_cast<char*>(out);
    while (bytes) {
      const int got = gzread(file_, to, static_cast<unsigned>(std::min<std::size_t>(bytes, 1 << 28)));
      if (got < 0) damaged();
      if (got == 0) fail(ErrorKind::content, "\"{}\": ends too early: expected {} more bytes", path_, bytes);
      to += got;
      bytes -= static_cast<std::size_t>(got);
    }
  }

  /// Reading past the end is what makes zlib check the sum.
  void expect_end() {
    char more = 0;
    const int got = gzread(file_, &more, 1);
    if (got < 0) damaged();
    if (got > 0) fail(ErrorKind::content, "\"{}\": expected its end, got more bytes than its header says", path_);
  }

 private:
  [[noreturn]] void damaged() {
    int code = 0;
    const char* text = gzerror(file_, &code);
    if (code == Z_ERRNO) fail(ErrorKind::io, "\"{}\": cannot be read: {}", path_, std::strerror(errno));
    fail(ErrorKind::content, "\"{}\": damaged: zlib: {}", path_, text);
  }

  std::string path_;
  gzFile file_ = nullptr;
};

struct IdxType {
  std::size_t bytes;
  Dtype dtype;
};

IdxType idx_type(unsigned char code, const std::string& path) {
  switch (code) {
    case 0x08:
      return {1, Dtype::u8};
    case 0x09:
      return {1, Dtype::i32};
    case 0x0B:
      return {2, Dtype::i32};
    case 0x0C:
      return {4, Dtype::i32};
    case 0x0D:
      return {4, Dtype::f32};
    case 0x0E:
      return {8, Dtype::f64};
    default:
      fail(ErrorKind::content, "\"{}\": IDX type 0x{:02X}: expected 08, 09, 0B, 0C, 0D or 0E", path, code);
  }
}

template <class T>
T swapped(const std::byte* from) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) bits = bits << 8 | std::to_integer<std::uint64_t>(from[i]);
  if constexpr (sizeof(T) == 8) return std::bit_cast<T>(bits);
  if constexpr (sizeof(T) == 4) return std::bit_cast<T>(static_cast<std::uint32_t>(bits));
  if constexpr (sizeof(T) == 2) return std::bit_cast<T>(static_cast<std::uint16_t>(bits));
  if constexpr (sizeof(T) == 1) return std::bit_cast<T>(static_cast<std::uint8_t>(bits));
}

template <class From, class To>
void convert(const std::byte* from, std::byte* to, std::int64_t count) {
  auto* values = reinterpret_cast<To*>(to);
  for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<To>(swapped<From>(from + static_cast<std::size_t>(i) * sizeof(From)));
}

void convert(unsigned char code, const std::byte* from, std::byte* to, std::int64_t count) {
  switch (code) {
    case 0x09:
      return convert<std::int8_t, std::int32_t>(from, to, count);
    case 0x0B:
      return convert<std::int16_t, std::int32_t>(from, to, count);
    case 0x0C:
      return convert<std::int32_t, std::int32_t>(from, to, count);
    case 0x0D:
      return convert<float, float>(from, to, count);
    case 0x0E:
      return convert<double, double>(from, to, count);
    default:
      std::memcpy(to, from, static_cast<std::size_t>(count));
  }
}

/// The extents, checked against what the file can hold: deflate expands at most 1032 times.
Shape read_extents(GzipFile& file, unsigned rank, std::size_t item, const std::string& path) {
  if (rank < 1 || rank > Shape::kMaxRank)
    fail(ErrorKind::content, "\"{}\": IDX rank: expected 1 to {}, got {}", path, Shape::kMaxRank, rank);
  const double limit = static_cast<double>(std::filesystem::file_size(path)) * 1100.0;
  std::vector<std::int64_t> extents;
  double bytes = static_cast<double>(item);
  for (unsigned axis = 0; axis < rank; ++axis) {
    std::byte raw[4];
    file.read(raw, sizeof raw);
    extents.push_back(swapped<std::uint32_t>(raw));
    bytes *= static_cast<double>(extents.back());
  }
  if (bytes > limit) fail(ErrorKind::content, "\"{}\": its header promises {:.0f} bytes, more than the file can hold", path, bytes);
  return Shape(extents);
}

}  // namespace

Tensor read_idx(const std::string& path) {
  GzipFile file(path);
  unsigned char magic[4];
  file.read(magic, sizeof magic);
  if (magic[0] != 0 || magic[1] != 0)
    fail(ErrorKind::content, "\"{}\": not an IDX file: expected two zero bytes first, got {:02X} {:02X}", path, magic[0], magic[1]);
  const IdxType type = idx_type(magic[2], path);
  const Shape shape = read_extents(file, magic[3], type.bytes, path);
  HostBuffer raw(static_cast<std::size_t>(shape.elements()) * type.bytes);
  file.read(raw.data(), raw.bytes());
  file.expect_end();
  Tensor result({shape, type.dtype});
  convert(magic[2], raw.data(), result.as<std::byte>(), shape.elements());
  return result;
}

Tensor to_labels(const Tensor& values, const std::string& path) {
  const TensorSpec& spec = values.spec();
  if (spec.shape.rank() != 1 || (spec.dtype != Dtype::u8 && spec.dtype != Dtype::i32))
    fail(ErrorKind::content, "\"{}\": labels: expected a list of integers, got {}", path, spec.text());
  Tensor result({spec.shape, Dtype::i64});
  for (std::int64_t i = 0; i < spec.elements(); ++i)
    result.as<std::int64_t>()[i] = spec.dtype == Dtype::u8 ? values.as<std::uint8_t>()[i] : values.as<std::int32_t>()[i];
  return result;
}

Tensor to_images(Tensor values, const std::string& path) {
  const TensorSpec& spec = values.spec();
  if (spec.shape.rank() < 2) fail(ErrorKind::content, "\"{}\": images: expected [n, height, width], got {}", path, spec.text());
  if (spec.shape.rank() != 3) return values;
  Tensor result({Shape{spec.shape[0], spec.shape[1], spec.shape[2], 1}, spec.dtype});
  std::memcpy(result.as<std::byte>(), values.as<std::byte>(), spec.bytes());
  return result;
}

}  // namespace lockstep
