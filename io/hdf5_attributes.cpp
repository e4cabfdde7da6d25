#include <hdf5.h>

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "io/hdf5_library.h"

namespace lockstep {
namespace {

using hdf5::check;

constexpr std::uint64_t kMaxAttributeBytes = 64 << 10;

struct OpenAttribute {
  Hdf5Handle attribute, type;
  H5T_class_t kind = H5T_NO_CLASS;
  std::size_t item = 0;
  std::size_t count = 0;
  bool variable = false;
};

std::string attribute_where(const Hdf5Object& object, std::string_view name) {
  return fmt::format("{}: attribute \"{}\"", object.where(), name);
}

OpenAttribute open_attribute(std::int64_t object, const std::string& where, std::string_view name) {
  OpenAttribute open;
  open.attribute = Hdf5Handle(check(H5Aopen(object, std::string(name).c_str(), H5P_DEFAULT), ErrorKind::content, where, "is missing"));
  open.type = Hdf5Handle(check(H5Aget_type(open.attribute.id()), ErrorKind::content, where, "its type cannot be read"));
  const Hdf5Handle space(check(H5Aget_space(open.attribute.id()), ErrorKind::content, where, "its extents cannot be read"));
  open.kind = H5Tget_class(open.type.id());
  open.item = H5Tget_size(open.type.id());
  open.variable = open.kind == H5T_VLEN || (open.kind == H5T_STRING && H5Tis_variable_str(open.type.id()) > 0);
  open.count =
      static_cast<std::size_t>(check(H5Sget_simple_extent_npoints(space.id()), ErrorKind::content, where, "its extents cannot be read"));
  if (open.item == 0 || open.count > kMaxAttributeBytes / open.item)
    fail(ErrorKind::content, "{}: expected at most {} bytes, got {} items of {}", where, kMaxAttributeBytes, open.count, open.item);
  return open;
}

/// The numbers, converted by the library.
template <class T>
std::vector<T> read_numbers(const OpenAttribute& open, hid_t memory, const std::string& where, bool integers) {
  const bool fits = open.kind == H5T_INTEGER || (open.kind == H5T_FLOAT && !integers);
  if (!fits) fail(ErrorKind::content, "{}: expected {}, got another type", where, integers ? "integers" : "numbers");
  std::vector<T> values(open.count);
  if (open.count) check(H5Aread(open.attribute.id(), memory, values.data()), ErrorKind::content, where, "cannot be read");
  return values;
}

std::vector<std::string> read_texts(const OpenAttribute& open, const std::string& where) {
  if (open.variable) fail(ErrorKind::content, "{}: expected text of fixed length, got variable-length text", where);
  if (open.kind != H5T_STRING) fail(ErrorKind::content, "{}: expected text, got another type", where);
  std::string bytes(open.count * open.item, '\0');
  if (!bytes.empty()) check(H5Aread(open.attribute.id(), open.type.id(), bytes.data()), ErrorKind::content, where, "cannot be read");
  std::vector<std::string> result;
  for (std::size_t i = 0; i < open.count; ++i) {
    std::string text = bytes.substr(i * open.item, open.item);
    text.resize(std::min(text.find('\0'), text.size()));
    if (H5Tget_strpad(open.type.id()) == H5T_STR_SPACEPAD) text.resize(text.find_last_not_of(' ') + 1);
    result.push_back(std::move(text));
  }
  return result;
}

template <class T>
T only(const std::vector<T>& values, const std::string& where) {
  if (values.size() != 1) fail(ErrorKind::content, "{}: expected one value, got {}", where, values.size());
  return values.front();
}

void write_attribute(std::int64_t object, const std::string& where, std::string_view name, hid_t type, const Hdf5Handle& space,
                     const void* data) {
  const std::string text(name);
  if (check(H5Aexists(object, text.c_str()), ErrorKind::io, where, "cannot be looked up"))
    check(H5Adelete(object, text.c_str()), ErrorKind::io, where, "cannot be replaced");
  const Hdf5Handle attribute(
      check(H5Acreate2(object, text.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), ErrorKind::io, where, "cannot be created"));
  check(H5Awrite(attribute.id(), type, data), ErrorKind::io, where, "cannot be written");
}

Hdf5Handle list_space(std::size_t count) {
  const hsize_t extent = count;
  return Hdf5Handle(H5Screate_simple(1, &extent, nullptr));
}

Hdf5Handle text_type(std::size_t bytes) {
  Hdf5Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.id(), std::max<std::size_t>(1, bytes));
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

}  // namespace

std::string Hdf5Object::where() const { return hdf5::where_of(file_, path_); }

bool Hdf5Object::has_attribute(std::string_view name) const {
  hdf5::prepare();
  return check(H5Aexists(handle_.id(), std::string(name).c_str()), ErrorKind::content, attribute_where(*this, name),
               "cannot be looked up") > 0;
}

std::vector<std::string> Hdf5Object::attribute_names() const {
  hdf5::prepare();
  H5O_info_t info{};
  check(H5Oget_info(handle_.id(), &info), ErrorKind::content, where(), "cannot be described");
  if (info.num_attrs > 10000) fail(ErrorKind::content, "{}: expected at most 10,000 attributes, got {}", where(), info.num_attrs);
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    std::array<char, 1024> name{};
    check(H5Aget_name_by_idx(handle_.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT), ErrorKind::content,
          where(), "its attributes cannot be listed");
    names.emplace_back(name.data());
  }
  return names;
}

std::vector<std::int64_t> Hdf5Object::integers_attribute(std::string_view name) const {
  hdf5::prepare();
  const std::string at = attribute_where(*this, name);
  return read_numbers<std::int64_t>(open_attribute(handle_.id(), at, name), H5T_NATIVE_INT64, at, true);
}

std::vector<double> Hdf5Object::reals_attribute(std::string_view name) const {
  hdf5::prepare();
  const std::string at = attribute_where(*this, name);
  return read_numbers<double>(open_attribute(handle_.id(), at, name), H5T_NATIVE_DOUBLE, at, false);
}

std::vector<std::string> Hdf5Object::texts_attribute(std::string_view name) const {
  hdf5::prepare();
  const std::string at = attribute_where(*this, name);
  return read_texts(open_attribute(handle_.id(), at, name), at);
}

std::int64_t Hdf5Object::integer_attribute(std::string_view name) const {
  return only(integers_attribute(name), attribute_where(*this, name));
}
double Hdf5Object::real_attribute(std::string_view name) const { return only(reals_attribute(name), attribute_where(*this, name)); }
std::string Hdf5Object::text_attribute(std::string_view name) const { return only(texts_attribute(name), attribute_where(*this, name)); }

std::string Hdf5Object::describe_attribute(std::string_view name) const {
  hdf5::prepare();
  const std::string at = attribute_where(*this, name);
  const OpenAttribute open = open_attribute(handle_.id(), at, name);
  std::vector<std::string> parts;
  if (open.kind == H5T_STRING && !open.variable) {
    for (const auto& text : read_texts(open, at)) parts.push_back("\"" + text + "\"");
  } else if (open.kind == H5T_INTEGER) {
    for (const auto value : integers_attribute(name)) parts.push_back(std::to_string(value));
  } else if (open.kind == H5T_FLOAT) {
    for (const auto value : reals_attribute(name)) parts.push_back(fmt::format("{:.6g}", value));
  } else {
    return open.variable ? "(variable-length)" : "(another type)";
  }
  const std::size_t shown = std::min<std::size_t>(parts.size(), 12);
  const std::string text = join(std::span(parts).first(shown)) + (shown < parts.size() ? ", ..." : "");
  return open.count == 1 ? text : "[" + text + "]";
}

void Hdf5Object::set_attribute(std::string_view name, std::int64_t value) {
  hdf5::prepare();
  write_attribute(handle_.id(), attribute_where(*this, name), name, H5T_STD_I64LE, Hdf5Handle(H5Screate(H5S_SCALAR)), &value);
}

void Hdf5Object::set_attribute(std::string_view name, double value) {
  hdf5::prepare();
  write_attribute(handle_.id(), attribute_where(*this, name), name, H5T_IEEE_F64LE, Hdf5Handle(H5Screate(H5S_SCALAR)), &value);
}

void Hdf5Object::set_attribute(std::string_view name, std::string_view value) {
  hdf5::prepare();
  require(value.size() < kMaxAttributeBytes, "{}: a text of {} bytes", attribute_where(*this, name), value.size());
  std::string bytes(value);
  bytes.resize(std::max<std::size_t>(1, bytes.size()));
  write_attribute(handle_.id(), attribute_where(*this, name), name, text_type(bytes.size()).id(), Hdf5Handle(H5Screate(H5S_SCALAR)),
                  bytes.data());
}

void Hdf5Object::set_attribute(std::string_view name, const std::vector<std::int64_t>& values) {
  hdf5::prepare();
  write_attribute(handle_.id(), attribute_where(*this, name), name, H5T_STD_I64LE, list_space(values.size()), values.data());
}

void Hdf5Object::set_attribute(std::string_view name, const std::vector<double>& values) {
  hdf5::prepare();
  write_attribute(handle_.id(), attribute_where(*this, name), name, H5T_IEEE_F64LE, list_space(values.size()), values.data());
}

void Hdf5Object::set_attribute(std::string_view name, const std::vector<std::string>& values) {
  hdf5::prepare();
  std::size_t longest = 1;
  for (const auto& value : values) longest = std::max(longest, value.size());
  std::string bytes;
  for (std::string value : values) {
    value.resize(longest);
    bytes += value;
  }
  write_attribute(handle_.id(), attribute_where(*this, name), name, text_type(longest).id(), list_space(values.size()), bytes.data());
}

}  // namespace lockstep
