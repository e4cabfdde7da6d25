#include "io/hdf5_library.h"

#include <hdf5.h>

namespace lockstep {

static_assert(sizeof(hid_t) == sizeof(std::int64_t));

namespace hdf5 {
namespace {

herr_t collect(unsigned depth, const H5E_error2_t* error, void* out) {
  auto& text = *static_cast<std::string*>(out);
  // The innermost two entries say what happened; the outer ones repeat the names of the calls.
  if (depth < 2 && error->desc && *error->desc) text += (text.empty() ? "" : "; ") + std::string(error->desc);
  return 0;
}

Hdf5Handle half_type() {
  Hdf5Handle type(H5Tcopy(H5T_IEEE_F32LE));
  H5Tset_fields(type.id(), 15, 10, 5, 0, 10);
  H5Tset_size(type.id(), 2);
  H5Tset_ebias(type.id(), 15);
  return type;
}

Hdf5Handle boolean_type() {
  Hdf5Handle type(H5Tenum_create(H5T_STD_I8LE));
  const signed char no = 0, yes = 1;
  H5Tenum_insert(type.id(), "FALSE", &no);
  H5Tenum_insert(type.id(), "TRUE", &yes);
  return type;
}

}  // namespace

void prepare() {
  static const bool once = [] { return H5PLset_loading_state(0) >= 0; }();
  require(once, "hdf5: cannot switch plug-in loading off");
  thread_local const bool quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  require(quiet, "hdf5: cannot switch error printing off");
}

std::string take_error_text() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &text);
  H5Eclear2(H5E_DEFAULT);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text.empty() ? "no reason given" : text;
}

std::int64_t check(std::int64_t result, ErrorKind kind, const std::string& where, std::string_view what) {
  if (result >= 0) return result;
  const std::string text = take_error_text();
  const bool system = text.find("errno = ") != std::string::npos;
  fail(system ? ErrorKind::io : kind, "{}: {} (HDF5: {})", where, what, text);
}

Hdf5Handle new_file_properties(const std::string& where) {
  Hdf5Handle properties(check(H5Pcreate(H5P_FILE_CREATE), ErrorKind::internal, where, "no properties"));
  check(H5Pset_obj_track_times(properties.id(), false), ErrorKind::internal, where, "a property is refused");
  return properties;
}

Hdf5Handle new_group_properties(const std::string& where) {
  Hdf5Handle properties(check(H5Pcreate(H5P_GROUP_CREATE), ErrorKind::internal, where, "no properties"));
  check(H5Pset_obj_track_times(properties.id(), false), ErrorKind::internal, where, "a property is refused");
  return properties;
}

Hdf5Handle memory_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return Hdf5Handle(H5Tcopy(H5T_NATIVE_FLOAT));
    case Dtype::f64:
      return Hdf5Handle(H5Tcopy(H5T_NATIVE_DOUBLE));
    case Dtype::u8:
      return Hdf5Handle(H5Tcopy(H5T_NATIVE_UINT8));
    case Dtype::i32:
      return Hdf5Handle(H5Tcopy(H5T_NATIVE_INT32));
    case Dtype::i64:
      return Hdf5Handle(H5Tcopy(H5T_NATIVE_INT64));
    case Dtype::bf16:
      return Hdf5Handle(H5Tcopy(H5T_NATIVE_UINT16));
    case Dtype::f16:
      return half_type();
  }
  fail(ErrorKind::internal, "hdf5: no memory type");
}

Hdf5Handle file_type(StoredType type) {
  switch (type) {
    case StoredType::i8:
      return Hdf5Handle(H5Tcopy(H5T_STD_I8LE));
    case StoredType::u8:
      return Hdf5Handle(H5Tcopy(H5T_STD_U8LE));
    case StoredType::i16:
      return Hdf5Handle(H5Tcopy(H5T_STD_I16LE));
    case StoredType::bf16:
    case StoredType::u16:
      return Hdf5Handle(H5Tcopy(H5T_STD_U16LE));
    case StoredType::i32:
      return Hdf5Handle(H5Tcopy(H5T_STD_I32LE));
    case StoredType::u32:
      return Hdf5Handle(H5Tcopy(H5T_STD_U32LE));
    case StoredType::i64:
      return Hdf5Handle(H5Tcopy(H5T_STD_I64LE));
    case StoredType::u64:
      return Hdf5Handle(H5Tcopy(H5T_STD_U64LE));
    case StoredType::f16:
      return half_type();
    case StoredType::f32:
      return Hdf5Handle(H5Tcopy(H5T_IEEE_F32LE));
    case StoredType::f64:
      return Hdf5Handle(H5Tcopy(H5T_IEEE_F64LE));
    case StoredType::boolean:
      return boolean_type();
  }
  fail(ErrorKind::internal, "hdf5: no file type");
}

std::string where_of(std::string_view file, std::string_view path) { return fmt::format("\"{}\": \"{}\"", file, path); }

}  // namespace hdf5

Hdf5Handle& Hdf5Handle::operator=(Hdf5Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = other.id_;
    other.id_ = -1;
  }
  return *this;
}

void Hdf5Handle::reset() {
  if (id_ < 0) return;
  if (H5Iis_valid(id_) > 0) H5Idec_ref(id_);
  id_ = -1;
}

std::string_view name_of(StoredType type) {
  constexpr std::string_view names[] = {"i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f16", "bf16", "f32", "f64", "boolean"};
  return names[static_cast<std::size_t>(type)];
}

std::size_t size_of(StoredType type) {
  constexpr std::size_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8, 1};
  return sizes[static_cast<std::size_t>(type)];
}

bool is_integer(StoredType type) { return type <= StoredType::u64 || type == StoredType::boolean; }

StoredType stored_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return StoredType::f32;
    case Dtype::bf16:
      return StoredType::bf16;
    case Dtype::f16:
      return StoredType::f16;
    case Dtype::f64:
      return StoredType::f64;
    case Dtype::u8:
      return StoredType::u8;
    case Dtype::i32:
      return StoredType::i32;
    case Dtype::i64:
      return StoredType::i64;
  }
  fail(ErrorKind::internal, "hdf5: unknown dtype");
}

std::string Hdf5Storage::text() const {
  std::string result = chunk.rank() ? "chunked " + chunk.text() : "contiguous";
  if (shuffle) result += ", shuffle";
  if (deflate) result += fmt::format(", deflate {}", deflate);
  if (fletcher32) result += ", fletcher32";
  return result;
}

Shape chunk_of(const Shape& shape, std::size_t item_bytes, std::size_t target_bytes) {
  std::vector<std::int64_t> extents(shape.extents().begin(), shape.extents().end());
  std::int64_t room = std::max<std::int64_t>(1, static_cast<std::int64_t>(target_bytes / item_bytes));
  for (auto extent = extents.rbegin(); extent != extents.rend(); ++extent) {
    *extent = std::max<std::int64_t>(1, std::min(*extent, room));
    room = std::max<std::int64_t>(1, room / *extent);
  }
  return Shape(extents);
}

}  // namespace lockstep
