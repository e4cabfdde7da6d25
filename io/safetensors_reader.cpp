#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/safetensors_names.h"

namespace lockstep {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 3;

struct Placed {
  std::string name;
  TensorSpec spec;
  std::uint64_t begin = 0, end = 0;
};

/// Parses the header, refusing what JSON allows and the format does not: names twice, deep nesting.
Json parse_header(std::string_view text, const std::string& path) {
  std::vector<std::set<std::string>> keys(kMaxDepth + 1);
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) fail(ErrorKind::content, "\"{}\": the header is nested too deep", path);
    const auto level = static_cast<std::size_t>(depth);
    if (event == Json::parse_event_t::object_start && level < kMaxDepth) keys[level + 1].clear();
    if (event == Json::parse_event_t::key && !keys[level].insert(value.get<std::string>()).second)
      fail(ErrorKind::content, "\"{}\": the header names \"{}\" twice", path, value.get<std::string>());
    return true;
  };
  try {
    if (!text.starts_with('{')) fail(ErrorKind::content, "\"{}\": the header does not begin with {{", path);
    Json header = Json::parse(text, watch);
    return header;
  } catch (const Json::exception& error) {
    fail(ErrorKind::content, "\"{}\": the header is not JSON: {}", path, error.what());
  }
}

Shape shape_of(const Json& list, std::size_t item, const std::string& where) {
  if (list.size() > Shape::kMaxRank) fail(ErrorKind::content, "{}: rank: expected at most {}, got {}", where, Shape::kMaxRank, list.size());
  std::vector<std::int64_t> extents;
  std::uint64_t bytes = item;
  for (const Json& extent : list) {
    const bool fits = extent.is_number_unsigned() && extent.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()};
    if (!fits || __builtin_mul_overflow(bytes, std::max<std::uint64_t>(1, extent.get<std::uint64_t>()), &bytes) || bytes > (std::uint64_t{1} << 62))
      fail(ErrorKind::content, "{}: shape: expected sizes that fit into memory", where);
    extents.push_back(extent.get<std::int64_t>());
  }
  return Shape(extents);
}

Placed placed_of(const std::string& name, const Json& entry, const std::string& path) {
  const std::string where = fmt::format("\"{}\": tensor \"{}\"", path, name);
  const bool complete = entry.is_object() && entry.size() == 3 && entry.contains("dtype") && entry["dtype"].is_string() && entry.contains("shape") &&
                        entry["shape"].is_array() && entry.contains("data_offsets") && entry["data_offsets"].is_array() &&
                        entry["data_offsets"].size() == 2 && entry["data_offsets"][0].is_number_unsigned() &&
                        entry["data_offsets"][1].is_number_unsigned();
  if (!complete) fail(ErrorKind::content, "{}: expected dtype, shape and two data_offsets alone", where);
  const Dtype dtype = safetensors::dtype_of(entry["dtype"].get<std::string>(), where);
  Placed placed{name, {shape_of(entry["shape"], size_of(dtype), where), dtype}, entry["data_offsets"][0], entry["data_offsets"][1]};
  if (placed.end < placed.begin || placed.end - placed.begin != placed.spec.bytes())
    fail(ErrorKind::content, "{}: {}: expected {} bytes, got [{}, {})", where, placed.spec.text(), placed.spec.bytes(), placed.begin, placed.end);
  return placed;
}

std::map<std::string, std::string> metadata_of(const Json& table, const std::string& path) {
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : table.items()) {
    if (!value.is_string()) fail(ErrorKind::content, "\"{}\": metadata \"{}\": expected text, got {}", path, key, value.type_name());
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

}  // namespace

SafeTensors read_safetensors(const std::string& path) {
  const HostBuffer file = read_file(path, std::numeric_limits<std::size_t>::max());
  std::uint64_t length = 0;
  if (file.bytes() >= sizeof length) std::memcpy(&length, file.data(), sizeof length);
  if (file.bytes() < sizeof length || length > std::min(safetensors::kMaxHeaderBytes, file.bytes() - sizeof length))
    fail(ErrorKind::content, "\"{}\": is no safetensors file, or is cut short: a header of {} bytes in {}", path, length, file.bytes());
  const Json header = parse_header({reinterpret_cast<const char*>(file.data()) + sizeof length, length}, path);
  SafeTensors result;
  std::vector<Placed> places;
  for (const auto& [name, entry] : header.items()) {
    if (name == safetensors::kMetadata)
      result.metadata = metadata_of(entry, path);
    else
      places.push_back(placed_of(name, entry, path));
  }
  std::sort(places.begin(), places.end(), [](const Placed& a, const Placed& b) { return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name); });
  const std::byte* data = file.data() + sizeof length + length;
  const std::uint64_t available = file.bytes() - sizeof length - length;
  std::uint64_t end = 0;
  for (const Placed& place : places) {
    if (place.begin != end || place.end > available)
      fail(ErrorKind::content, "\"{}\": tensor \"{}\": expected its bytes from {} and up to {}, got [{}, {})", path, place.name, end, available,
           place.begin, place.end);
    Tensor value(place.spec);
    if (place.spec.bytes() > 0) std::memcpy(value.view().data, data + place.begin, place.spec.bytes());
    result.tensors.push_back({place.name, std::move(value)});
    end = place.end;
  }
  if (end != available) fail(ErrorKind::content, "\"{}\": {} bytes belong to no tensor", path, available - end);
  return result;
}

}  // namespace lockstep
