#include <array>
#include <filesystem>
#include <fstream>
#include <ostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/text.h"
#include "io/checkpoint_inspect.h"
#include "io/inspect.h"
#include "launch/command.h"
#include "launch/loaded_model.h"
#include "launch/run_file.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHelp = R"(Examples:
  lockstep inspect fashion.h5 --values
  lockstep inspect runs/first                            its newest checkpoint
  lockstep inspect runs/first/checkpoints/latest --digest
  lockstep inspect run.toml

Says what is in a data file, a checkpoint (which is verified, every byte of it) or a run file. The digest of a
checkpoint is that of the whole training state: runs with the same digest hold the same bits.
)";

/// A checkpoint starts with a text block; every other HDF5 file of ours with HDF5's signature.
bool is_plain_hdf5(const std::string& path) {
  constexpr std::array<char, 4> kSignature = {'\x89', 'H', 'D', 'F'};
  std::array<char, 4> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  return start == kSignature;
}

Json to_json(const Value& value) {
  if (value.is_table()) {
    Json json = Json::object();
    for (const auto& [key, entry] : value.as_table()) json[key] = to_json(entry);
    return json;
  }
  if (value.is_array()) {
    Json json = Json::array();
    for (const Value& entry : value.as_array()) json.push_back(to_json(entry));
    return json;
  }
  if (value.is_text()) return value.as_text();
  if (value.is_boolean()) return std::get<bool>(value.data());
  if (value.is_integer()) return std::get<std::int64_t>(value.data());
  return value.as_real();
}

Json to_json(const Shape& shape) {
  Json json = Json::array();
  for (const std::int64_t extent : shape.extents()) json.push_back(extent);
  return json;
}

std::string print(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string show_run_file(const std::string& path, bool as_json) {
  const Value root = read_run_file(path);
  return as_json ? print({{"schema", 1}, {"kind", "run file"}, {"path", path}, {"run", to_json(root)}}) : write_run_text(root);
}

std::string show_checkpoint(const std::string& path, bool as_json, bool digest_alone) {
  const CheckpointSummary summary = inspect_checkpoint(path);
  if (digest_alone) return summary.digest + "\n";
  if (as_json) {
    Json json = {{"schema", 1},
                 {"kind", "checkpoint"},
                 {"path", path},
                 {"bytes", summary.bytes},
                 {"step", summary.meta.step},
                 {"epoch", summary.meta.epoch},
                 {"created_by", summary.meta.created_by},
                 {"fingerprint", summary.meta.fingerprint},
                 {"digest", summary.digest},
                 {"metrics", summary.meta.metrics}};
    for (const MemberSummary& member : summary.members)
      json["members"].push_back({{"name", member.name},
                                 {"kind", name_of(member.kind)},
                                 {"dtype", name_of(member.spec.dtype)},
                                 {"shape", to_json(member.spec.shape)},
                                 {"minimum", member.minimum},
                                 {"mean", member.mean},
                                 {"maximum", member.maximum},
                                 {"nans", member.nans},
                                 {"digest", member.digest}});
    return print(json);
  }
  std::string text = fmt::format("checkpoint   {} ({})\nstep         {} (epoch {})\ncreated by   {}\nfingerprint  {}\ndigest       {}\n",
                                 path, format_bytes(summary.bytes), summary.meta.step, summary.meta.epoch, summary.meta.created_by,
                                 summary.meta.fingerprint, summary.digest);
  for (const auto& [name, value] : summary.meta.metrics) text += fmt::format("{:<12} {:.6g}\n", name, value);
  std::size_t width = 0;
  for (const MemberSummary& member : summary.members) width = std::max(width, member.name.size());
  for (const MemberSummary& member : summary.members) {
    text += fmt::format("  {:<{}}  {:<20}", member.name, width, member.spec.text());
    if (member.kind != MemberKind::text)
      text += fmt::format("  min {:.4g}  mean {:.4g}  max {:.4g}", member.minimum, member.mean, member.maximum);
    if (member.nans > 0) text += fmt::format("  {} not a number", member.nans);
    text += "\n";
  }
  return text;
}

Json object_json(const InspectedObject& object) {
  Json json = {{"path", object.path},
               {"kind", object.kind == Hdf5Kind::group     ? "group"
                        : object.kind == Hdf5Kind::dataset ? "dataset"
                                                           : "other"}};
  if (object.kind == Hdf5Kind::dataset)
    json.update(Json{{"shape", to_json(object.shape)},
                     {"type", object.type},
                     {"bytes", object.bytes},
                     {"stored_bytes", object.stored_bytes},
                     {"storage", object.storage}});
  if (!object.refused.empty()) json["refused"] = object.refused;
  for (const InspectedAttribute& attribute : object.attributes) json["attributes"][attribute.name] = attribute.value;
  return json;
}

std::string object_text(const InspectedObject& object) {
  std::string text = object.path;
  if (object.kind == Hdf5Kind::dataset && object.refused.empty())
    text += fmt::format("  {} {}  {}, {} stored, {}", object.shape.text(), object.type, format_bytes(object.bytes),
                        format_bytes(object.stored_bytes), object.storage);
  if (!object.refused.empty()) text += "  not readable: " + object.refused;
  text += "\n";
  for (const InspectedAttribute& attribute : object.attributes) text += fmt::format("    {} = {}\n", attribute.name, attribute.value);
  return text;
}

std::string show_data(const std::string& path, bool as_json, bool values) {
  const InspectedFile file = inspect_file(path);
  Json json = {{"schema", 1}, {"kind", "data file"}, {"path", path}, {"bytes", file.bytes}, {"objects", Json::array()}};
  std::string text = fmt::format("data file  {} ({})\n", path, format_bytes(file.bytes));
  for (const InspectedObject& object : file.objects) {
    json["objects"].push_back(object_json(object));
    text += object_text(object);
    if (!values || object.kind != Hdf5Kind::dataset || !object.refused.empty()) continue;
    const InspectedValues found = inspect_values(path, object.path);
    json["objects"].back()["values"] = {
        {"minimum", found.least}, {"mean", found.mean}, {"maximum", found.most}, {"not_finite", found.not_finite}};
    text += fmt::format("    min {:.6g}  mean {:.6g}  max {:.6g}  not finite {}\n", found.least, found.mean, found.most, found.not_finite);
  }
  return as_json ? print(json) : text;
}

int run(const Arguments& arguments, CommandContext& context) {
  const std::string& given = arguments.only("file");
  const bool as_json = arguments.has("json"), digest = arguments.has("digest");
  const bool run_file = given.ends_with(".toml");
  const bool data = !run_file && std::filesystem::is_regular_file(given) && is_plain_hdf5(given);
  if (digest && (run_file || data)) fail(ErrorKind::usage, "inspect: --digest: expected a checkpoint, got \"{}\"", given);
  if (run_file)
    context.out << show_run_file(given, as_json);
  else if (data)
    context.out << show_data(given, as_json, arguments.has("values"));
  else
    context.out << show_checkpoint(checkpoint_path(given), as_json, digest);
  return 0;
}

const RegisterCommand registered({.name = "inspect",
                                  .summary = "say what is in a data file, a checkpoint or a run file",
                                  .usage = "FILE",
                                  .help = kHelp,
                                  .options = {{"json", "", "one JSON object"},
                                              {"digest", "", "of a checkpoint: only the digest of the state"},
                                              {"values", "", "of a data file: least, mean and greatest value; reads all of it"}},
                                  .run = run});

}  // namespace
}  // namespace lockstep
