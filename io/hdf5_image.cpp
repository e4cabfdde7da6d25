// Files that exist in memory alone, so that whoever has them decides how bytes reach the disk, and checks them first.
// The library's memory is seen through its callbacks: H5Fget_file_image of 1.10 clears a flag in the superblock and
// leaves the superblock's checksum wrong, so the bytes are taken as they lie when the file has been closed.

#include <hdf5.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "io/hdf5.h"
#include "io/hdf5_library.h"

namespace lockstep {
namespace {

using hdf5::check;

constexpr std::size_t kGrowthBytes = std::size_t{4} << 20;
constexpr std::size_t kEndOfFileOffset = 28;  // in a superblock of version 2 or 3 with 8-byte addresses

/// The library takes files of one name for one file, and refuses names of files that exist.
std::string unique_name() {
  static std::atomic<unsigned> serial{0};
  return fmt::format("in memory/{}", serial++);
}

Hdf5Handle root_of(const Hdf5Handle& file, ErrorKind kind, const std::string& where) {
  return Hdf5Handle(check(H5Gopen2(file.id(), "/", H5P_DEFAULT), kind, where, "its root cannot be opened"));
}

}  // namespace

Hdf5File::Image::~Image() {
  if (!borrowed) std::free(data);
}

Hdf5Handle Hdf5File::memory_access(Image& image, const std::string& where) {
  Hdf5Handle access(check(H5Pcreate(H5P_FILE_ACCESS), ErrorKind::internal, where, "no properties"));
  H5FD_file_image_callbacks_t calls{};
  calls.image_malloc = [](size_t bytes, H5FD_file_image_op_t, void* user) -> void* {
    Image& mine = *static_cast<Image*>(user);
    return mine.borrowed ? mine.data : std::malloc(bytes);
  };
  calls.image_memcpy = [](void* to, const void* from, size_t bytes, H5FD_file_image_op_t, void*) -> void* {
    return to == from ? to : std::memcpy(to, from, bytes);
  };
  calls.image_realloc = [](void* memory, size_t bytes, H5FD_file_image_op_t, void* user) -> void* {
    Image& mine = *static_cast<Image*>(user);
    if (mine.borrowed) return nullptr;
    void* grown = std::realloc(memory, bytes);
    if (grown) mine.bytes = bytes;
    return grown;
  };
  calls.image_free = [](void* memory, H5FD_file_image_op_t, void* user) -> herr_t {
    Image& mine = *static_cast<Image*>(user);
    if (!mine.borrowed) mine.data = static_cast<std::byte*>(memory);
    return 0;
  };
  calls.udata_copy = [](void* user) -> void* { return user; };
  calls.udata_free = [](void*) -> herr_t { return 0; };
  calls.udata = &image;
  const auto set = [&](herr_t result) { check(result, ErrorKind::internal, where, "a property is refused"); };
  set(H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG));
  set(H5Pset_fapl_core(access.id(), kGrowthBytes, false));
  set(H5Pset_file_image_callbacks(access.id(), &calls));
  return access;
}

Hdf5File Hdf5File::create_in_memory(const std::string& name, Hdf5Format format) {
  hdf5::prepare();
  const std::string where = "\"" + name + "\"";
  Hdf5File file;
  file.path_ = name;
  file.image_ = std::make_unique<Image>();
  const Hdf5Handle access = memory_access(*file.image_, where);
  check(H5Pset_libver_bounds(access.id(), format == Hdf5Format::v110 ? H5F_LIBVER_V110 : H5F_LIBVER_V18, H5F_LIBVER_V110), ErrorKind::internal, where,
        "a property is refused");
  file.handle_ = Hdf5Handle(check(H5Fcreate(unique_name().c_str(), H5F_ACC_TRUNC, hdf5::new_file_properties(where).id(), access.id()), ErrorKind::io, where, "cannot be created"));
  file.root_ = Hdf5Group(root_of(file.handle_, ErrorKind::io, where), name, "/");
  return file;
}

Hdf5File Hdf5File::open_in_memory(const std::string& name, std::span<const std::byte> image) {
  hdf5::prepare();
  const std::string where = "\"" + name + "\"";
  Hdf5File file;
  file.path_ = name;
  file.image_ = std::make_unique<Image>(Image{const_cast<std::byte*>(image.data()), image.size(), true});
  const Hdf5Handle access = memory_access(*file.image_, where);
  check(H5Pset_file_image(access.id(), file.image_->data, image.size()), ErrorKind::internal, where, "a property is refused");
  file.handle_ = Hdf5Handle(check(H5Fopen(unique_name().c_str(), H5F_ACC_RDONLY, access.id()), ErrorKind::content, where, "not a whole HDF5 file"));
  file.root_ = Hdf5Group(root_of(file.handle_, ErrorKind::content, where), name, "/");
  return file;
}

std::span<const std::byte> Hdf5File::close_to_image() {
  require(image_ && !image_->borrowed, "\"{}\": was not made in memory", path_);
  close();
  std::uint64_t bytes = 0;
  if (image_->data && image_->bytes > kEndOfFileOffset + sizeof bytes) std::memcpy(&bytes, image_->data + kEndOfFileOffset, sizeof bytes);
  require(bytes > 0 && bytes <= image_->bytes, "\"{}\": the image has no end: {} of {} bytes", path_, bytes, image_->bytes);
  return {image_->data, bytes};
}

}  // namespace lockstep
