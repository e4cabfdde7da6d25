#include "io/hdf5.h"

#include <fcntl.h>
#include <hdf5.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/hdf5_library.h"

namespace lockstep {
namespace {

using hdf5::check;

std::array<hsize_t, Shape::kMaxRank> extents_of(const Shape& shape) {
  std::array<hsize_t, Shape::kMaxRank> result{};
  std::copy(shape.extents().begin(), shape.extents().end(), result.begin());
  return result;
}

Hdf5Handle space_of(const Shape& shape) {
  if (shape.rank() == 0) return Hdf5Handle(H5Screate(H5S_SCALAR));
  return Hdf5Handle(H5Screate_simple(shape.rank(), extents_of(shape).data(), nullptr));
}

Hdf5Handle creation_properties(const Hdf5Storage& storage, const std::string& where) {
  Hdf5Handle properties(check(H5Pcreate(H5P_DATASET_CREATE), ErrorKind::internal, where, "no properties"));
  require(storage.chunk.rank() > 0 || (!storage.shuffle && !storage.deflate && !storage.fletcher32), "{}: filters need chunks", where);
  const auto set = [&](herr_t result) { check(result, ErrorKind::internal, where, "a property is refused"); };
  if (storage.chunk.rank()) set(H5Pset_chunk(properties.id(), storage.chunk.rank(), extents_of(storage.chunk).data()));
  if (storage.shuffle) set(H5Pset_shuffle(properties.id()));
  if (storage.deflate) set(H5Pset_deflate(properties.id(), static_cast<unsigned>(storage.deflate)));
  if (storage.fletcher32) set(H5Pset_fletcher32(properties.id()));
  // The same content gives the same bytes: no time stamps.
  set(H5Pset_obj_track_times(properties.id(), false));
  set(H5Pset_fill_time(properties.id(), H5D_FILL_TIME_NEVER));
  return properties;
}

/// Asks the system first: its refusals are plainer than the library's.
void check_readable(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail(ErrorKind::io, "\"{}\": cannot be opened: {}", path, std::strerror(errno));
  ::close(descriptor);
}

}  // namespace

void Hdf5Dataset::transfer(bool reading, void* memory, Dtype dtype, std::int64_t first, std::int64_t count) const {
  hdf5::prepare();
  const std::int64_t rows = shape_.rank() ? shape_[0] : 1;
  require(first >= 0 && count >= 0 && first <= rows && count <= rows - first, "{}: rows [{}, {}) of {}", where(), first, first + count,
          rows);
  const bool raw = dtype == Dtype::bf16;
  require(raw == (type_ == StoredType::bf16), "{}: stored as {}, asked for as {}", where(), name_of(type_), name_of(dtype));
  const bool wants_integer = dtype == Dtype::i64 || dtype == Dtype::i32 || dtype == Dtype::u8;
  if (reading && wants_integer && !is_integer(type_))
    fail(ErrorKind::content, "{}: element type: expected integers, got {}", where(), name_of(type_));
  if (count == 0 || shape_.elements() == 0) return;
  const Hdf5Handle type = hdf5::memory_type(dtype);
  Hdf5Handle file_space(check(H5Dget_space(handle_.id()), ErrorKind::content, where(), "its extents cannot be read"));
  auto extents = extents_of(shape_);
  if (shape_.rank()) {
    std::array<hsize_t, Shape::kMaxRank> start{};
    start[0] = static_cast<hsize_t>(first);
    extents[0] = static_cast<hsize_t>(count);
    check(H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr), ErrorKind::content, where(),
          "its rows cannot be selected");
  }
  const Hdf5Handle memory_space(shape_.rank() ? H5Screate_simple(shape_.rank(), extents.data(), nullptr) : H5Screate(H5S_SCALAR));
  if (reading)
    check(H5Dread(handle_.id(), type.id(), memory_space.id(), file_space.id(), H5P_DEFAULT, memory), ErrorKind::content, where(),
          "cannot be read");
  else
    check(H5Dwrite(handle_.id(), type.id(), memory_space.id(), file_space.id(), H5P_DEFAULT, memory), ErrorKind::io, where(),
          "cannot be written");
}

void Hdf5Dataset::read(void* out, Dtype as, std::int64_t first, std::int64_t count) const { transfer(true, out, as, first, count); }
void Hdf5Dataset::read(void* out, Dtype as) const { read(out, as, 0, shape_.rank() ? shape_[0] : 1); }
void Hdf5Dataset::write(const void* data, Dtype from, std::int64_t first, std::int64_t count) {
  transfer(false, const_cast<void*>(data), from, first, count);
}
void Hdf5Dataset::write(const void* data, Dtype from) { write(data, from, 0, shape_.rank() ? shape_[0] : 1); }

void Hdf5Dataset::close() {
  hdf5::prepare();
  const Hdf5Handle closed = std::move(handle_);
  check(H5Dclose(closed.id()), ErrorKind::io, where(), "cannot be closed");
}

bool Hdf5Group::contains(std::string_view path) const {
  hdf5::prepare();
  std::size_t end = 0;
  while (end < path.size()) {
    end = std::min(path.find('/', end + 1), path.size());
    const std::string part(path.substr(0, end));
    if (part == "/") continue;
    if (check(H5Lexists(handle_.id(), part.c_str(), H5P_DEFAULT), ErrorKind::content, where(), "cannot be searched") == 0) return false;
    H5L_info_t info{};
    if (H5Lget_info(handle_.id(), part.c_str(), &info, H5P_DEFAULT) < 0 || (info.type != H5L_TYPE_HARD && end < path.size())) return false;
  }
  return true;
}

std::vector<Hdf5Entry> Hdf5Group::entries() const {
  hdf5::prepare();
  H5G_info_t info{};
  check(H5Gget_info(handle_.id(), &info), ErrorKind::content, where(), "cannot be listed");
  if (info.nlinks > 100000) fail(ErrorKind::content, "{}: expected at most 100,000 entries, got {}", where(), info.nlinks);
  std::vector<Hdf5Entry> result;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto name_size = check(H5Lget_name_by_idx(handle_.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT),
                                 ErrorKind::content, where(), "cannot be listed");
    if (name_size > 4096) fail(ErrorKind::content, "{}: a name of {} bytes: expected at most 4096", where(), name_size);
    std::string name(static_cast<std::size_t>(name_size), '\0');
    check(H5Lget_name_by_idx(handle_.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size() + 1, H5P_DEFAULT),
          ErrorKind::content, where(), "cannot be listed");
    H5L_info_t link{};
    check(H5Lget_info(handle_.id(), name.c_str(), &link, H5P_DEFAULT), ErrorKind::content, where(), "cannot be listed");
    Hdf5Kind kind = Hdf5Kind::other;
    if (link.type == H5L_TYPE_HARD) {
      const Hdf5Handle object(
          check(H5Oopen(handle_.id(), name.c_str(), H5P_DEFAULT), ErrorKind::content, where() + ": \"" + name + "\"", "cannot be opened"));
      const H5I_type_t type = H5Iget_type(object.id());
      kind = type == H5I_GROUP ? Hdf5Kind::group : type == H5I_DATASET ? Hdf5Kind::dataset : Hdf5Kind::other;
    }
    result.push_back({std::move(name), kind});
  }
  std::sort(result.begin(), result.end(), [](const Hdf5Entry& a, const Hdf5Entry& b) { return a.name < b.name; });
  return result;
}

namespace {
std::string joined(const std::string& parent, std::string_view path) {
  if (path.starts_with('/')) return std::string(path);
  return parent + (parent.ends_with('/') ? "" : "/") + std::string(path);
}
}  // namespace

Hdf5Group Hdf5Group::group(std::string_view path) const {
  hdf5::prepare();
  return Hdf5Group(hdf5::open_path(handle_.id(), file_, path_, path, Hdf5Kind::group), file_, joined(path_, path));
}

Hdf5Dataset Hdf5Group::dataset(std::string_view path) const {
  hdf5::prepare();
  Hdf5Dataset result;
  result.handle_ = hdf5::open_path(handle_.id(), file_, path_, path, Hdf5Kind::dataset);
  result.file_ = file_;
  result.path_ = joined(path_, path);
  auto facts = hdf5::check_dataset(result.handle_.id(), result.where());
  result.shape_ = facts.shape;
  result.type_ = facts.type;
  result.storage_ = facts.storage;
  result.stored_bytes_ = facts.stored_bytes;
  if (result.type_ == StoredType::u16 && result.has_attribute("dtype") && result.text_attribute("dtype") == "bfloat16")
    result.type_ = StoredType::bf16;
  return result;
}

Hdf5Group Hdf5Group::create_group(std::string_view name) {
  hdf5::prepare();
  const std::string path = joined(path_, name);
  const std::string where = hdf5::where_of(file_, path);
  const Hdf5Handle links(check(H5Pcreate(H5P_LINK_CREATE), ErrorKind::internal, where, "no properties"));
  check(H5Pset_create_intermediate_group(links.id(), 1), ErrorKind::internal, where, "a property is refused");
  return Hdf5Group(Hdf5Handle(check(H5Gcreate2(handle_.id(), std::string(name).c_str(), links.id(), hdf5::new_group_properties(where).id(), H5P_DEFAULT),
                                    ErrorKind::io, where, "cannot be created")),
                   file_, path);
}

Hdf5Dataset Hdf5Group::create_dataset(std::string_view name, StoredType type, const Shape& shape, const Hdf5Storage& storage) {
  hdf5::prepare();
  Hdf5Dataset result;
  result.file_ = file_;
  result.path_ = joined(path_, name);
  result.shape_ = shape;
  result.type_ = type;
  result.storage_ = storage;
  const Hdf5Handle properties = creation_properties(storage, result.where());
  const Hdf5Handle links(check(H5Pcreate(H5P_LINK_CREATE), ErrorKind::internal, result.where(), "no properties"));
  check(H5Pset_create_intermediate_group(links.id(), 1), ErrorKind::internal, result.where(), "a property is refused");
  const Hdf5Handle element = hdf5::file_type(type), space = space_of(shape);
  result.handle_ = Hdf5Handle(
      check(H5Dcreate2(handle_.id(), std::string(name).c_str(), element.id(), space.id(), links.id(), properties.id(), H5P_DEFAULT),
            ErrorKind::io, result.where(), "cannot be created"));
  if (type == StoredType::bf16) result.set_attribute("dtype", "bfloat16");
  return result;
}

Hdf5File Hdf5File::open(const std::string& path) {
  hdf5::prepare();
  check_readable(path);
  const std::string where = "\"" + path + "\"";
  const Hdf5Handle access(check(H5Pcreate(H5P_FILE_ACCESS), ErrorKind::internal, where, "no properties"));
  check(H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG), ErrorKind::internal, where, "a property is refused");
  Hdf5File file;
  file.path_ = path;
  file.handle_ = Hdf5Handle(check(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), ErrorKind::content, where, "not a whole HDF5 file"));
  file.root_ = Hdf5Group(
      Hdf5Handle(check(H5Gopen2(file.handle_.id(), "/", H5P_DEFAULT), ErrorKind::content, where, "its root cannot be opened")), path, "/");
  return file;
}

Hdf5File Hdf5File::create(const std::string& path, Hdf5Format format) {
  hdf5::prepare();
  const std::string where = "\"" + path + "\"";
  const Hdf5Handle access(check(H5Pcreate(H5P_FILE_ACCESS), ErrorKind::internal, where, "no properties"));
  check(H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG), ErrorKind::internal, where, "a property is refused");
  check(H5Pset_libver_bounds(access.id(), format == Hdf5Format::v110 ? H5F_LIBVER_V110 : H5F_LIBVER_V18, H5F_LIBVER_V110),
        ErrorKind::internal, where, "a property is refused");
  Hdf5File file;
  file.path_ = path;
  file.handle_ =
      Hdf5Handle(check(H5Fcreate(path.c_str(), H5F_ACC_EXCL, hdf5::new_file_properties(where).id(), access.id()), ErrorKind::io, where, "cannot be created"));
  file.root_ = Hdf5Group(
      Hdf5Handle(check(H5Gopen2(file.handle_.id(), "/", H5P_DEFAULT), ErrorKind::io, where, "its root cannot be opened")), path, "/");
  return file;
}

void Hdf5File::close() {
  hdf5::prepare();
  const std::string where = "\"" + path_ + "\"";
  check(H5Fflush(handle_.id(), H5F_SCOPE_GLOBAL), ErrorKind::io, where, "cannot be flushed");
  root_.handle_.reset();
  const Hdf5Handle closed = std::move(handle_);
  check(H5Fclose(closed.id()), ErrorKind::io, where, "cannot be closed");
}

}  // namespace lockstep
