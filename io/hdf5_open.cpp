// The rules against damaged and hostile files: every group and dataset that is read comes through here. Links that
// leave the file, external and virtual storage, filters of other parties, types that allocate and shapes that
// promise more than is stored are refused.

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <limits>

#include "io/hdf5_library.h"

namespace lockstep::hdf5 {
namespace {

constexpr std::uint64_t kMaxChunkBytes = std::uint64_t{256} << 20;
// Deflate cannot shrink more than 1032 times.
constexpr std::uint64_t kMaxExpansion = 1100;
constexpr std::uint64_t kExpansionMatters = std::uint64_t{1} << 20;

std::string_view link_kind(H5L_type_t type) {
  if (type == H5L_TYPE_SOFT) return "a soft link";
  if (type == H5L_TYPE_EXTERNAL) return "an external link";
  return "a user-defined link";
}

void check_link(hid_t parent, const std::string& name, const std::string& where) {
  if (check(H5Lexists(parent, name.c_str(), H5P_DEFAULT), ErrorKind::content, where, "cannot be looked up") == 0)
    fail(ErrorKind::content, "{}: not in the file", where);
  H5L_info_t info{};
  check(H5Lget_info(parent, name.c_str(), &info, H5P_DEFAULT), ErrorKind::content, where, "its link cannot be read");
  if (info.type != H5L_TYPE_HARD)
    fail(ErrorKind::content, "{}: {}: expected a dataset or group of this very file", where, link_kind(info.type));
}

bool is_float_format(hid_t type, std::size_t size) {
  std::size_t sign, exponent, exponent_size, mantissa, mantissa_size;
  if (H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) < 0) return false;
  const std::size_t bits = size * 8, wanted_exponent = size == 2 ? 5 : size == 4 ? 8 : 11;
  return sign == bits - 1 && exponent_size == wanted_exponent && mantissa == 0 && mantissa_size == bits - 1 - wanted_exponent &&
         exponent == mantissa_size && H5Tget_ebias(type) == (std::size_t{1} << (wanted_exponent - 1)) - 1;
}

bool is_boolean(hid_t type) {
  if (H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) return false;
  std::array<signed char, 2> values{};
  for (unsigned i = 0; i < 2; ++i)
    if (H5Tget_member_value(type, i, &values[i]) < 0) return false;
  return std::min(values[0], values[1]) == 0 && std::max(values[0], values[1]) == 1;
}

StoredType checked_type(hid_t type, const std::string& where) {
  const std::size_t size = H5Tget_size(type);
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_ENUM && is_boolean(type)) return StoredType::boolean;
  const bool whole = (kind == H5T_INTEGER || kind == H5T_FLOAT) && H5Tget_precision(type) == size * 8 && H5Tget_offset(type) == 0 &&
                     (H5Tget_order(type) == H5T_ORDER_LE || H5Tget_order(type) == H5T_ORDER_BE || size == 1);
  if (whole && kind == H5T_INTEGER && (size == 1 || size == 2 || size == 4 || size == 8)) {
    const int width = size == 1 ? 0 : size == 2 ? 2 : size == 4 ? 4 : 6;
    return static_cast<StoredType>(width + (H5Tget_sign(type) == H5T_SGN_NONE ? 1 : 0));
  }
  if (whole && kind == H5T_FLOAT && (size == 2 || size == 4 || size == 8) && is_float_format(type, size))
    return size == 2 ? StoredType::f16 : size == 4 ? StoredType::f32 : StoredType::f64;
  const std::string_view got = kind == H5T_STRING     ? "text"
                               : kind == H5T_VLEN     ? "variable-length lists"
                               : kind == H5T_COMPOUND ? "a compound (complex numbers?)"
                               : kind == H5T_ENUM     ? "an enumeration"
                                                      : "another type";
  fail(ErrorKind::content, "{}: element type: expected integers of 8 to 64 bits, floats of 16 to 64 bits or booleans, got {} of {} bytes",
       where, got, size);
}

Shape checked_shape(hid_t dataset, std::size_t item_bytes, const std::string& where) {
  const Hdf5Handle space(check(H5Dget_space(dataset), ErrorKind::content, where, "its extents cannot be read"));
  const H5S_class_t kind = H5Sget_simple_extent_type(space.id());
  if (kind == H5S_SCALAR) return Shape{};
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (kind != H5S_SIMPLE || rank < 1 || rank > Shape::kMaxRank)
    fail(ErrorKind::content, "{}: rank: expected 0 to {}, got {}", where, Shape::kMaxRank,
         kind == H5S_SIMPLE ? std::to_string(rank) : "no extents");
  std::array<hsize_t, Shape::kMaxRank> extents{};
  check(H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr), ErrorKind::content, where, "its extents cannot be read");
  std::vector<std::int64_t> result;
  std::uint64_t bytes = item_bytes;
  for (int axis = 0; axis < rank; ++axis) {
    const hsize_t extent = extents[static_cast<std::size_t>(axis)];
    if (extent > static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max()) ||
        __builtin_mul_overflow(bytes, std::max<std::uint64_t>(extent, 1), &bytes) || bytes > (std::uint64_t{1} << 62))
      fail(ErrorKind::content, "{}: extents: more bytes than any memory holds", where);
    result.push_back(static_cast<std::int64_t>(extent));
  }
  return Shape(result);
}

void read_filters(hid_t properties, Hdf5Storage& storage, const std::string& where) {
  const int count = H5Pget_nfilters(properties);
  if (count < 0 || count > 8) fail(ErrorKind::content, "{}: filters: expected at most 8, got {}", where, count);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0, config = 0, values[8] = {};
    std::size_t values_count = 8;
    char name[64] = {};
    const auto filter = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &values_count, values, sizeof name, name, &config);
    if (filter == H5Z_FILTER_SHUFFLE)
      storage.shuffle = true;
    else if (filter == H5Z_FILTER_DEFLATE)
      storage.deflate = std::max(1, static_cast<int>(values[0]));
    else if (filter == H5Z_FILTER_FLETCHER32)
      storage.fletcher32 = true;
    else
      fail(ErrorKind::content, "{}: filter {}: expected shuffle, deflate or fletcher32 alone", where, static_cast<int>(filter));
  }
}

Hdf5Storage checked_storage(hid_t dataset, std::size_t item_bytes, const Shape& shape, const std::string& where) {
  const Hdf5Handle properties(check(H5Dget_create_plist(dataset), ErrorKind::content, where, "its properties cannot be read"));
  Hdf5Storage storage;
  const H5D_layout_t layout = H5Pget_layout(properties.id());
  if (layout == H5D_VIRTUAL) fail(ErrorKind::content, "{}: a virtual dataset: expected its data in this very file", where);
  if (H5Pget_external_count(properties.id()) != 0)
    fail(ErrorKind::content, "{}: external storage: expected its data in this very file", where);
  if (layout == H5D_CHUNKED) {
    std::array<hsize_t, Shape::kMaxRank + 1> extents{};
    const int rank = H5Pget_chunk(properties.id(), Shape::kMaxRank, extents.data());
    if (rank != shape.rank()) fail(ErrorKind::content, "{}: chunk: expected rank {}, got {}", where, shape.rank(), rank);
    std::vector<std::int64_t> chunk;
    std::uint64_t bytes = item_bytes;
    for (int axis = 0; axis < rank; ++axis) {
      const hsize_t extent = extents[static_cast<std::size_t>(axis)];
      if (extent == 0 || __builtin_mul_overflow(bytes, extent, &bytes) || bytes > kMaxChunkBytes)
        fail(ErrorKind::content, "{}: chunk: expected at most {} MiB", where, kMaxChunkBytes >> 20);
      chunk.push_back(static_cast<std::int64_t>(extent));
    }
    storage.chunk = Shape(chunk);
  } else if (layout != H5D_CONTIGUOUS) {
    fail(ErrorKind::content, "{}: layout: expected contiguous or chunked, got {}", where, layout == H5D_COMPACT ? "compact" : "another");
  }
  read_filters(properties.id(), storage, where);
  return storage;
}

}  // namespace

Hdf5Handle open_path(std::int64_t start, const std::string& file, const std::string& start_path, std::string_view path, Hdf5Kind wanted) {
  const bool absolute = path.starts_with('/');
  Hdf5Handle current(
      check(H5Oopen(start, absolute ? "/" : ".", H5P_DEFAULT), ErrorKind::content, where_of(file, path), "cannot be opened"));
  std::string walked = absolute ? "/" : start_path;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
    if (name.empty() || name == ".") continue;
    walked += (walked.ends_with('/') ? "" : "/") + name;
    const std::string where = where_of(file, walked);
    if (name == "..") fail(ErrorKind::content, "{}: \"..\" is not a name in HDF5", where);
    if (H5Iget_type(current.id()) != H5I_GROUP) fail(ErrorKind::content, "{}: its parent is no group", where);
    check_link(current.id(), name, where);
    current = Hdf5Handle(check(H5Oopen(current.id(), name.c_str(), H5P_DEFAULT), ErrorKind::content, where, "cannot be opened"));
  }
  const H5I_type_t type = H5Iget_type(current.id());
  if (wanted == Hdf5Kind::group && type != H5I_GROUP)
    fail(ErrorKind::content, "{}: expected a group, got no group", where_of(file, walked));
  if (wanted == Hdf5Kind::dataset && type != H5I_DATASET)
    fail(ErrorKind::content, "{}: expected a dataset, got {}", where_of(file, walked), type == H5I_GROUP ? "a group" : "no dataset");
  return current;
}

DatasetFacts check_dataset(std::int64_t dataset, const std::string& where) {
  DatasetFacts facts;
  const Hdf5Handle type(check(H5Dget_type(dataset), ErrorKind::content, where, "its type cannot be read"));
  facts.type = checked_type(type.id(), where);
  const std::size_t item = size_of(facts.type);
  facts.shape = checked_shape(dataset, item, where);
  facts.storage = checked_storage(dataset, item, facts.shape, where);
  facts.stored_bytes = H5Dget_storage_size(dataset);
  const std::uint64_t declared = static_cast<std::uint64_t>(facts.shape.elements()) * item;
  if (declared > kExpansionMatters && declared / kMaxExpansion > facts.stored_bytes)
    fail(ErrorKind::content, "{}: declares {} bytes, stores {}: expected at most {} times as many as stored", where, declared,
         facts.stored_bytes, kMaxExpansion);
  return facts;
}

}  // namespace lockstep::hdf5
