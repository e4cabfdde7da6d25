#include "io/data_options.h"

#include <unistd.h>

#include <charconv>

#include "core/base/error.h"
#include "core/base/options.h"

namespace lockstep {
namespace {

const std::vector<StoredType> kTypes = {StoredType::u8,  StoredType::i8,  StoredType::u16, StoredType::i16, StoredType::u32, StoredType::i32,
                                        StoredType::u64, StoredType::i64, StoredType::f16, StoredType::f32, StoredType::f64, StoredType::boolean};

void read_scale(Options& options, DataField& field) {
  const Value* entry = options.take("scale");
  if (!entry || !entry->is_table()) {
    const std::string scale = options.choice("scale", {"none", "unit", "standardize"}, "none");
    field.scale = scale == "unit" ? DataScale::unit : scale == "standardize" ? DataScale::standardize : DataScale::none;
    return;
  }
  field.scale = DataScale::given;
  Options numbers(*entry, options.what() + " scale");
  field.mean = numbers.reals("mean");
  field.std = numbers.reals("std");
  if (field.mean.empty() || field.std.size() != field.mean.size())
    fail(ErrorKind::run_file, "{}\"mean\" and \"std\": expected one number each, or one a channel, got {} and {}", numbers.where("std"), field.mean.size(),
         field.std.size());
  for (const double deviation : field.std)
    if (!(deviation > 0)) fail(ErrorKind::run_file, "{}\"std\": expected positive numbers, got {}", numbers.where("std"), deviation);
  numbers.finish();
}

/// What the file must hold.
void read_declaration(Options& options, DataField& field) {
  if (const Value* shape = options.take("shape")) {
    std::vector<std::int64_t> extents;
    for (const Value& extent : shape->is_array() ? shape->as_array() : Value::Array{*shape}) {
      if (!extent.is_integer() || extent.as_real() < 1 || extent.as_real() > 0x1p31)
        fail(ErrorKind::run_file, "{}\"shape\": expected positive integers, got {}", options.where("shape"), extent.describe());
      extents.push_back(static_cast<std::int64_t>(extent.as_real()));
    }
    if (extents.size() >= Shape::kMaxRank)
      fail(ErrorKind::run_file, "{}\"shape\": expected at most {} axes, got {}", options.where("shape"), Shape::kMaxRank - 1, extents.size());
    field.shape = Shape(extents);
  }
  if (!options.has("dtype")) {
    options.take("dtype");
    return;
  }
  std::vector<std::string> names;
  for (const StoredType type : kTypes) names.emplace_back(name_of(type));
  const std::string name = options.choice("dtype", names);
  for (const StoredType type : kTypes)
    if (name_of(type) == name) field.type = type;
}

DataField read_field(Options options, std::string name, bool target) {
  DataField field;
  field.name = std::move(name);
  field.target = target;
  field.dataset = options.text("dataset");
  const std::string layout = options.choice("layout", {"NHWC", "NCHW", "plain"}, target ? "plain" : "NHWC");
  field.layout = layout == "NHWC" ? DataLayout::nhwc : layout == "NCHW" ? DataLayout::nchw : DataLayout::plain;
  read_scale(options, field);
  field.classes = options.integer("classes", 0, {.least = 0, .most = std::int64_t{1} << 31});
  if (field.classes && field.scale != DataScale::none)
    fail(ErrorKind::run_file, "{}\"scale\": integers (classes = {}) are not scaled", options.where("scale"), field.classes);
  read_declaration(options, field);
  options.finish();
  return field;
}

void read_fields(Options& data, const std::string& one, const std::string& several, bool target, std::vector<DataField>& fields) {
  if (data.has(one) && data.has(several))
    fail(ErrorKind::run_file, "{}both \"{}\" and \"{}\"; expected one of them", data.where(several), one, several);
  if (const Value* entry = data.take(one)) fields.push_back(read_field(Options(*entry, "[data] " + one), one, target));
  const Value* list = data.take(several);
  if (!list) return;
  if (!list->is_array())
    fail(ErrorKind::run_file, "{}\"{}\": expected a list of tables, got {}", data.where(several), several, list->describe());
  for (const Value& entry : list->as_array()) {
    Options options(entry, "[data] " + several);
    std::string name = options.text("name");
    Value table = entry;
    table.erase("name");
    fields.push_back(read_field(Options(std::move(table), "[data] " + several + " \"" + name + "\""), name, target));
  }
}

std::int64_t default_memory() { return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) / 2 * sysconf(_SC_PAGESIZE); }

}  // namespace

std::int64_t parse_bytes(const std::string& text, const std::string& where) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(static_cast<const char*>(end), text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  const int shift = unit == "GiB" ? 30 : unit == "MiB" ? 20 : unit == "KiB" ? 10 : unit.empty() || unit == "B" ? 0 : -1;
  if (error != std::errc() || shift < 0 || !(number >= 0) || number > 1e6 * (std::int64_t{1} << (40 - shift)))
    fail(ErrorKind::run_file, "{}expected a size such as \"8 GiB\" or \"512 MiB\", got \"{}\"", where, text);
  return static_cast<std::int64_t>(number * static_cast<double>(std::int64_t{1} << shift));
}

DataOptions read_data_options(const Value& table, const std::string& folder) {
  Options data(table, "[data]");
  DataOptions result;
  result.folder = folder;
  const std::vector<std::string> nothing;
  result.train = data.texts("train");
  result.validation = data.texts("validation", nothing);
  result.test = data.texts("test", nothing);
  read_fields(data, "input", "inputs", false, result.fields);
  if (result.fields.empty())
    fail(ErrorKind::run_file, "{}\"input\" is missing: expected a table such as {{ dataset = \"images\" }}", data.where());
  read_fields(data, "target", "targets", true, result.fields);
  for (std::size_t i = 0; i < result.fields.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (result.fields[i].name == result.fields[j].name)
        fail(ErrorKind::run_file, "{}two fields are named \"{}\"", data.where(), result.fields[i].name);
  if (const Value* augment = data.take("augment")) {
    if (augment->is_array())
      result.augment = augment->as_array();
    else
      result.augment = {*augment};
  }
  result.global_batch = data.integer("global_batch", {}, {.least = 1, .most = std::int64_t{1} << 31});
  result.shuffle = data.boolean("shuffle", true);
  const Value* memory = data.take("memory");
  if (!memory)
    result.memory_bytes = default_memory();
  else if (memory->is_text())
    result.memory_bytes = parse_bytes(memory->as_text(), data.where("memory") + "\"memory\": ");
  else
    result.memory_bytes = data.integer("memory", {}, {.least = 1});
  data.finish();
  return result;
}

}  // namespace lockstep
