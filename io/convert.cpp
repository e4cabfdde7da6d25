#include "io/convert.h"

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "io/atomic_file.h"
#include "io/hdf5.h"
#include "io/scaling.h"

namespace lockstep {
namespace {

void check_split(const ConvertedSplit& split) {
  const Shape &images = split.images.spec().shape, &labels = split.labels.spec().shape;
  if (labels.rank() != 1 || images.rank() < 2 || images[0] != labels[0])
    fail(ErrorKind::content, "\"{}\": expected as many labels as images, got images {} and labels {}", split.group, images.text(),
         labels.text());
}

std::int64_t classes_of(const ConvertedSet& set) {
  std::int64_t classes = static_cast<std::int64_t>(set.class_names.size());
  const bool open = classes == 0;
  for (const ConvertedSplit& split : set.splits) {
    const std::int64_t* labels = split.labels.as<std::int64_t>();
    for (std::int64_t i = 0; i < split.labels.spec().elements(); ++i) {
      if (labels[i] < 0 || (!open && labels[i] >= classes))
        fail(ErrorKind::content, "\"{}\": label {} at index {}: expected {}", split.group, labels[i], i,
             open ? std::string("0 or more") : fmt::format("0 to {}", classes - 1));
      if (open) classes = std::max(classes, labels[i] + 1);
    }
  }
  return classes;
}

Hdf5Dataset write_tensor(Hdf5Group& group, const std::string& name, const Tensor& tensor, ConvertReport& report) {
  const TensorSpec& spec = tensor.spec();
  Hdf5Dataset dataset = group.create_dataset(name, spec.dtype, spec.shape);
  dataset.write(tensor.as<std::byte>(), spec.dtype);
  dataset.set_attribute("xxh3_128", digest_hex(tensor.as<std::byte>(), spec.bytes()));
  report.datasets.push_back({dataset.path(), spec});
  return dataset;
}

Scaler scaler_of(Tensor& images) {
  const Shape& shape = images.spec().shape;
  DatasetField field;
  field.sample = {Shape(shape.extents().subspan(1)), images.spec().dtype};
  if (field.sample.dtype != Dtype::u8 && field.sample.dtype != Dtype::f32) return {};
  field.values = std::move(images);
  Scaler scaler = measure(field);
  images = std::move(field.values);
  return scaler;
}

}  // namespace

ConvertReport convert_file(std::string_view name, const std::vector<std::string>& files, const std::string& output, const Value& options) {
  const auto converter = Registry<Converter>::instance().make(name, Options(options, fmt::format("converter \"{}\"", name)));
  const std::vector<std::string> wanted = converter->inputs();
  if (files.size() != wanted.size())
    fail(ErrorKind::usage, "convert {}: expected {} and the output, got {} before the output", name,
         wanted.empty() ? "no files" : join(wanted, " "), files.size());
  if (std::filesystem::exists(output)) fail(ErrorKind::usage, "convert {}: \"{}\" exists already", name, output);

  ConvertedSet set = converter->read(files);
  require(!set.splits.empty(), "converter \"{}\": no splits", name);
  for (const ConvertedSplit& split : set.splits) check_split(split);
  ConvertReport report{.path = output, .classes = classes_of(set)};
  const Scaler scaler = scaler_of(set.splits.front().images);

  Hdf5File file = Hdf5File::create_in_memory(output, Hdf5Format::v18);
  file.root().set_attribute("format", "lockstep/1");
  file.root().set_attribute("source", name);
  for (const ConvertedSplit& split : set.splits) {
    Hdf5Group group = file.root().create_group(split.group);
    group.set_attribute("classes", report.classes);
    if (!set.class_names.empty()) group.set_attribute("class_names", set.class_names);
    Hdf5Dataset images = write_tensor(group, "images", split.images, report);
    if (!scaler.mean.empty()) {
      images.set_attribute("mean", scaler.mean);
      images.set_attribute("std", scaler.deviation);
    }
    write_tensor(group, "labels", split.labels, report);
  }
  const std::span<const std::byte> image = file.close_to_image();
  report.bytes = image.size();
  commit_file(output, std::span(&image, 1));
  return report;
}

}  // namespace lockstep
