#include "io/dataset.h"

#include <filesystem>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "io/data_source.h"
#include "io/scaling.h"

namespace lockstep {
namespace {

struct OpenSource {
  DataSource source;
  Hdf5File file;
  Hdf5Group group;
  std::vector<Hdf5Dataset> datasets;  ///< by field
};

OpenSource open_source(const DataSource& source, const DataOptions& options) {
  Hdf5File file = Hdf5File::open(source.path);
  Hdf5Group group = file.root().group(source.group);
  OpenSource open{source, std::move(file), std::move(group), {}};
  for (const DataField& field : options.fields) {
    if (!open.group.contains(field.dataset)) {
      std::vector<std::string> names;
      for (const Hdf5Entry& entry : open.group.entries()) names.push_back(entry.name);
      fail(ErrorKind::content, "{}: no dataset \"{}\"{}", open.group.where(), field.dataset, hint(field.dataset, names));
    }
    open.datasets.push_back(open.group.dataset(field.dataset));
  }
  return open;
}

/// Samples of a source; its fields must agree.
std::int64_t samples_of(const OpenSource& open) {
  const Hdf5Dataset& first = open.datasets.front();
  for (const Hdf5Dataset& other : open.datasets)
    if (other.shape()[0] != first.shape()[0])
      fail(ErrorKind::content, "{}: samples: expected {} as in \"{}\", got {}", other.where(), first.shape()[0], first.path(),
           other.shape()[0]);
  return first.shape()[0];
}

FieldForm common_form(const DataField& field, std::size_t index, const std::vector<OpenSource>& sources) {
  const FieldForm form = form_of(field, sources.front().datasets[index]);
  for (const OpenSource& source : sources) {
    const FieldForm other = form_of(field, source.datasets[index]);
    if (other != form)
      fail(ErrorKind::content, "{}: samples: expected {} {} as in \"{}\", got {} {}", source.datasets[index].where(), form.stored.text(),
           name_of(form.dtype), sources.front().source.path, other.stored.text(), name_of(other.dtype));
  }
  return form;
}

Scaler scaler_for(const DatasetField& field, std::size_t index, const std::vector<OpenSource>& sources) {
  if (auto fixed = fixed_scaler(field)) return *fixed;
  std::optional<Scaler> common = stored_scaler(sources.front().group, sources.front().datasets[index], field.channels());
  for (const OpenSource& source : sources)
    if (common && stored_scaler(source.group, source.datasets[index], field.channels()) != common) common.reset();
  return common ? *common : measure(field);
}

std::string digest_of(const std::vector<OpenSource>& sources, const std::vector<DatasetField>& fields) {
  Digest digest;
  for (const OpenSource& open : sources) {
    digest.add(open.source.written);
    digest.add(std::filesystem::path(open.source.path).filename().string());
    digest.add(static_cast<std::uint64_t>(std::filesystem::file_size(open.source.path)));
    for (const Hdf5Dataset& dataset : open.datasets) {
      digest.add(dataset.path());
      digest.add(dataset.shape().text());
      digest.add(name_of(dataset.type()));
    }
  }
  for (const DatasetField& field : fields) {
    digest.add(field.options.name);
    digest.add(field.sample.text());
    for (const auto* list : {&field.scaler.mean, &field.scaler.deviation}) digest.add(list->data(), list->size() * sizeof(double));
  }
  return digest.hex();
}

}  // namespace

Dataset Dataset::load(const DataOptions& options, const std::vector<std::string>& sources, std::span<const Scaler> scalers) {
  require(scalers.empty() || scalers.size() == options.fields.size(), "a scaler for each field");
  std::vector<OpenSource> open;
  for (const DataSource& source : find_sources(sources, options.folder)) open.push_back(open_source(source, options));
  if (open.empty()) fail(ErrorKind::run_file, "[data]: expected at least one file, got none");

  std::vector<FieldForm> forms;
  for (std::size_t i = 0; i < options.fields.size(); ++i) forms.push_back(common_form(options.fields[i], i, open));
  Dataset result;
  std::vector<std::int64_t> counts;
  for (const OpenSource& source : open) result.samples_ += counts.emplace_back(samples_of(source));
  if (result.samples_ == 0) fail(ErrorKind::content, "{}: expected samples, got none", open.front().group.where());

  double needed = 0;  // of exact integers, and above 2^53 no memory holds it anyway
  for (const FieldForm& form : forms)
    needed += static_cast<double>(form.sample.elements()) * static_cast<double>(size_of(form.dtype)) * static_cast<double>(result.samples_);
  if (needed > static_cast<double>(options.memory_bytes))
    fail(ErrorKind::run_file, "[data] \"memory\": \"{}\" needs {:.0f} bytes in memory on every rank: expected at most {} ({})",
         sources.front(), needed, options.memory_bytes, format_bytes(static_cast<std::uint64_t>(options.memory_bytes)));

  for (std::size_t i = 0; i < forms.size(); ++i) {
    DatasetField field{.options = options.fields[i], .sample = {forms[i].sample, forms[i].dtype}};
    field.values = Tensor({forms[i].sample.with_leading(result.samples_), forms[i].dtype});
    std::byte* out = field.values.as<std::byte>();
    for (std::size_t s = 0; s < open.size(); ++s) {
      read_field(field.options, forms[i], open[s].datasets[i], out);
      out += static_cast<std::size_t>(counts[s]) * field.sample.bytes();
    }
    field.scaler = scalers.empty() ? scaler_for(field, i, open) : scalers[i];
    result.fields_.push_back(std::move(field));
  }
  result.digest_ = digest_of(open, result.fields_);
  return result;
}

const DatasetField& Dataset::field(std::string_view name) const {
  std::vector<std::string> names;
  for (const DatasetField& field : fields_) {
    if (field.options.name == name) return field;
    names.push_back(field.options.name);
  }
  fail(ErrorKind::run_file, "[data]: no field feeds the model's input \"{}\"{}", name, hint(name, names));
}

std::vector<Scaler> Dataset::scalers() const {
  std::vector<Scaler> result;
  for (const DatasetField& field : fields_) result.push_back(field.scaler);
  return result;
}

std::vector<BatchField> Dataset::batch_fields(Dtype activations) const {
  std::vector<BatchField> result;
  for (const DatasetField& field : fields_) {
    const Dtype dtype = field.options.classes > 0 ? Dtype::i64 : field.options.target ? Dtype::f32 : activations;
    result.push_back({field.options.name, {field.sample.shape, dtype}});
  }
  return result;
}

}  // namespace lockstep
