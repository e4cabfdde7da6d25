#include "io/inspect.h"

#include <cmath>
#include <filesystem>

#include "core/base/error.h"
#include "core/tensor/bfloat16.h"

namespace lockstep {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxObjects = 10000;

std::string child_path(const std::string& parent, const std::string& name) { return parent + (parent.ends_with('/') ? "" : "/") + name; }

std::vector<InspectedAttribute> attributes_of(const Hdf5Object& object) {
  std::vector<InspectedAttribute> result;
  for (const std::string& name : object.attribute_names()) {
    std::string value;
    try {
      value = object.describe_attribute(name);
    } catch (const Error& error) {
      value = std::string("(") + error.what() + ")";
    }
    result.push_back({name, std::move(value)});
  }
  return result;
}

InspectedObject inspect_dataset(const Hdf5Group& parent, const std::string& name) {
  InspectedObject object{.path = child_path(parent.path(), name), .kind = Hdf5Kind::dataset};
  try {
    const Hdf5Dataset dataset = parent.dataset(name);
    object.shape = dataset.shape();
    object.type = name_of(dataset.type());
    object.bytes = static_cast<std::uint64_t>(dataset.shape().elements()) * size_of(dataset.type());
    object.stored_bytes = dataset.stored_bytes();
    object.storage = dataset.storage().text();
    object.attributes = attributes_of(dataset);
  } catch (const Error& error) {
    object.refused = error.what();
  }
  return object;
}

void walk(const Hdf5Group& group, int depth, InspectedFile& file) {
  if (depth > kMaxDepth) fail(ErrorKind::content, "{}: expected at most {} levels of groups (a cycle?)", group.where(), kMaxDepth);
  file.objects.push_back({.path = group.path(), .kind = Hdf5Kind::group, .attributes = attributes_of(group)});
  for (const Hdf5Entry& entry : group.entries()) {
    if (file.objects.size() >= kMaxObjects) fail(ErrorKind::content, "\"{}\": expected at most {} objects", file.path, kMaxObjects);
    if (entry.kind == Hdf5Kind::group)
      walk(group.group(entry.name), depth + 1, file);
    else
      file.objects.push_back(inspect_dataset(group, entry.name));
    if (entry.kind == Hdf5Kind::other) file.objects.back().kind = Hdf5Kind::other;
  }
}

}  // namespace

InspectedFile inspect_file(const std::string& path) {
  const Hdf5File file = Hdf5File::open(path);
  InspectedFile result{.path = path, .bytes = std::filesystem::file_size(path)};
  walk(file.root(), 0, result);
  return result;
}

InspectedValues inspect_values(const std::string& path, const std::string& name) {
  const Hdf5File file = Hdf5File::open(path);
  const Hdf5Dataset dataset = file.root().dataset(name);
  const bool narrow = dataset.type() == StoredType::bf16;
  const std::int64_t rows = dataset.shape().rank() ? dataset.shape()[0] : 1, per_row = rows ? dataset.shape().elements() / rows : 0;
  const std::int64_t piece = std::max<std::int64_t>(1, (std::int64_t{1} << 19) / std::max<std::int64_t>(1, per_row));
  std::vector<double> values(static_cast<std::size_t>(std::min(piece, rows) * per_row));
  std::vector<BFloat16> halves(narrow ? values.size() : 0);
  InspectedValues result{.least = INFINITY, .most = -INFINITY};
  double sum = 0;
  for (std::int64_t first = 0; first < rows; first += piece) {
    const std::int64_t count = std::min(piece, rows - first), elements = count * per_row;
    dataset.read(narrow ? static_cast<void*>(halves.data()) : values.data(), narrow ? Dtype::bf16 : Dtype::f64, first, count);
    for (std::size_t i = 0; i < static_cast<std::size_t>(elements); ++i) {
      const double value = narrow ? static_cast<double>(to_float(halves[i])) : values[i];
      if (!std::isfinite(value)) {
        ++result.not_finite;
        continue;
      }
      result.least = std::min(result.least, value);
      result.most = std::max(result.most, value);
      sum += value;
    }
  }
  const std::int64_t finite = rows * per_row - result.not_finite;
  if (finite == 0) return {.not_finite = result.not_finite};
  result.mean = sum / static_cast<double>(finite);
  return result;
}

}  // namespace lockstep
