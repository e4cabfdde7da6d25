#include "io/data_source.h"

#include <glob.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/tensor/tensor.h"

namespace lockstep {
namespace {

constexpr std::size_t kPieceBytes = 4 << 20;

std::vector<std::string> expand(const std::string& pattern) {
  glob_t found{};
  const int result = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + (result == 0 ? found.gl_pathc : 0));
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

Shape without_leading(const Shape& shape) { return Shape(shape.extents().subspan(1)); }

/// The stored rows piece by piece: `each(first, count, data)`.
template <class Each>
void by_pieces(const Hdf5Dataset& dataset, Dtype as, std::size_t row_bytes, const Each& each) {
  const std::int64_t rows = dataset.shape()[0];
  const auto piece = std::max<std::int64_t>(1, static_cast<std::int64_t>(kPieceBytes / std::max<std::size_t>(1, row_bytes)));
  HostBuffer buffer(static_cast<std::size_t>(std::min(piece, rows)) * row_bytes);
  for (std::int64_t first = 0; first < rows; first += piece) {
    const std::int64_t count = std::min(piece, rows - first);
    dataset.read(buffer.data(), as, first, count);
    each(first, count, buffer.data());
  }
}

template <class T>
void transpose_image(const T* from, T* to, const Shape& image) {
  const std::int64_t pixels = image[0] * image[1], channels = image[2];
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t p = 0; p < pixels; ++p) to[p * channels + c] = from[c * pixels + p];
}

void check_labels(const std::int64_t* labels, std::int64_t rows, std::int64_t per_row, const DataField& field, const Hdf5Dataset& dataset) {
  for (std::int64_t i = 0; i < rows * per_row; ++i)
    if (labels[i] < 0 || labels[i] >= field.classes)
      fail(ErrorKind::content, "{}: label {} at index {}: expected 0 to {} (classes = {})", dataset.where(), labels[i], i / per_row,
           field.classes - 1, field.classes);
}

void check_finite(const float* values, std::int64_t first, std::int64_t count, std::int64_t per_row, const Hdf5Dataset& dataset) {
  for (std::int64_t i = 0; i < count * per_row; ++i)
    if (!std::isfinite(values[i]))
      fail(ErrorKind::content, "{}: {} at index {}: expected finite numbers within the range of f32", dataset.where(), values[i],
           first + i / per_row);
}

void read_one_hot(const DataField& field, const Hdf5Dataset& dataset, std::int64_t* out) {
  const std::int64_t classes = field.classes;
  by_pieces(dataset, Dtype::f32, static_cast<std::size_t>(classes) * 4, [&](std::int64_t first, std::int64_t count, const std::byte* data) {
    const auto* values = reinterpret_cast<const float*>(data);
    for (std::int64_t row = 0; row < count; ++row) {
      const float* one = values + row * classes;
      const std::int64_t label = std::max_element(one, one + classes) - one;
      const std::int64_t zeros = std::count(one, one + classes, 0.0f);
      if (one[label] != 1.0f || zeros != classes - 1)
        fail(ErrorKind::content, "{}: index {}: expected a one-hot row of {} classes: one 1, otherwise 0", dataset.where(), first + row,
             classes);
      out[first + row] = label;
    }
  });
}

/// Files of `convert` carry a digest of each dataset's bytes; it is compared where memory holds the very same bytes.
void check_digest(const FieldForm& form, const Hdf5Dataset& dataset, const std::byte* data) {
  if (stored_type(form.dtype) != dataset.type() || !dataset.has_attribute("xxh3_128")) return;
  const std::string expected = dataset.text_attribute("xxh3_128");
  const std::string found = digest_hex(data, static_cast<std::size_t>(dataset.shape().elements()) * size_of(form.dtype));
  if (found != expected)
    fail(ErrorKind::content,
         "{}: damaged, or changed since it was written: expected xxh3_128 {}, got {}; remove the attribute to accept the change",
         dataset.where(), expected, found);
}

}  // namespace

std::vector<DataSource> find_sources(const std::vector<std::string>& sources, const std::string& folder) {
  std::vector<DataSource> result;
  for (const std::string& source : sources) {
    const std::size_t colon = source.rfind(":/");
    const std::string group = colon == std::string::npos ? "/" : source.substr(colon + 1);
    std::string file = source.substr(0, colon);
    if (!file.starts_with('/') && !folder.empty()) file = folder + "/" + file;
    const bool pattern = file.find_first_of("*?[") != std::string::npos;
    const std::vector<std::string> paths = pattern ? expand(file) : std::vector<std::string>{file};
    if (paths.empty()) fail(ErrorKind::io, "\"{}\": no file matches", file);
    for (const std::string& path : paths) result.push_back({path, group, source});
  }
  return result;
}

FieldForm form_of(const DataField& field, const Hdf5Dataset& dataset) {
  if (dataset.shape().rank() == 0) fail(ErrorKind::content, "{}: expected samples along the first axis, got a scalar", dataset.where());
  const Shape stored = without_leading(dataset.shape());
  if (field.shape && *field.shape != stored)
    fail(ErrorKind::content, "{}: samples: expected {} as the run file's \"shape\" says, got {}", dataset.where(), field.shape->text(), stored.text());
  if (field.type && *field.type != dataset.type())
    fail(ErrorKind::content, "{}: element type: expected {} as the run file's \"dtype\" says, got {}", dataset.where(), name_of(*field.type),
         name_of(dataset.type()));
  return form_of(field, stored, dataset.type(), dataset.where());
}

FieldForm form_of(const DataField& field, const Shape& stored, StoredType type, const std::string& where) {
  FieldForm form{.stored = stored, .sample = stored};
  const int rank = form.stored.rank();
  if (type == StoredType::bf16)
    fail(ErrorKind::content, "{}: element type: expected integers or floats, got bf16", where);
  if (field.classes > 0) {
    form.dtype = Dtype::i64;
    if (!is_integer(type) || (field.target && field.classes > 1 && rank == 1 && form.stored[0] == field.classes)) {
      form.one_hot = rank == 1 && form.stored[0] == field.classes;
      if (!form.one_hot)
        fail(ErrorKind::content, "{}: labels: expected integers, or one-hot rows [{}], got {} {}", where, field.classes,
             name_of(type), form.stored.text());
    }
    if (form.one_hot || (field.target && rank == 1 && form.stored[0] == 1)) form.sample = Shape{};
    return form;
  }
  const bool bytes = type == StoredType::u8 || type == StoredType::boolean;
  form.dtype = bytes && !field.target ? Dtype::u8 : Dtype::f32;
  if (rank == 0) form.sample = Shape{1};
  if (field.layout != DataLayout::plain && rank == 2) form.sample = Shape{form.stored[0], form.stored[1], 1};
  if (field.layout == DataLayout::nchw && rank == 3) {
    form.sample = Shape{form.stored[1], form.stored[2], form.stored[0]};
    form.transpose = true;
  }
  return form;
}

void read_field(const DataField& field, const FieldForm& form, const Hdf5Dataset& dataset, std::byte* out) {
  const std::int64_t rows = dataset.shape()[0], per_row = form.stored.elements();
  const std::size_t item = size_of(form.dtype), row_bytes = static_cast<std::size_t>(per_row) * item;
  if (form.one_hot) return read_one_hot(field, dataset, reinterpret_cast<std::int64_t*>(out));
  if (!form.transpose) {
    dataset.read(out, form.dtype);
    check_digest(form, dataset, out);
  } else {
    by_pieces(dataset, form.dtype, row_bytes, [&](std::int64_t first, std::int64_t count, const std::byte* data) {
      for (std::int64_t row = 0; row < count; ++row) {
        const std::byte* from = data + static_cast<std::size_t>(row) * row_bytes;
        std::byte* to = out + static_cast<std::size_t>(first + row) * row_bytes;
        if (form.dtype == Dtype::u8)
          transpose_image(reinterpret_cast<const std::uint8_t*>(from), reinterpret_cast<std::uint8_t*>(to), form.sample);
        else
          transpose_image(reinterpret_cast<const float*>(from), reinterpret_cast<float*>(to), form.sample);
      }
    });
  }
  if (form.dtype == Dtype::i64)
    check_labels(reinterpret_cast<const std::int64_t*>(out), rows, std::max<std::int64_t>(1, per_row), field, dataset);
  if (form.dtype == Dtype::f32) check_finite(reinterpret_cast<const float*>(out), 0, rows, std::max<std::int64_t>(1, per_row), dataset);
}

}  // namespace lockstep
